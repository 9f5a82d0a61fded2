#!/usr/bin/env bash
# Build the pinned mmcv from its source release and keep the wheel.
# Usage: tools/build_mmcv.sh PYTHON OUT_DIR VERSION
#
# The plain build parses torch's headers in every file with `-g -O3` and takes about 20
# minutes on two cores. This script compiles the headers once (a precompiled header) and
# builds without debug symbols: about 3 minutes. If that fails, it runs the plain build.
set -euo pipefail

# shellcheck source=tools/progress.sh
source "$(dirname "${BASH_SOURCE[0]}")/progress.sh"

python=$1
out=$2
version=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/dff-mmcv.XXXXXX")
log="$out/build-mmcv-$version.log"
mkdir -p "$out"
trap 'rm -rf "$work"' EXIT

jobs=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}
export MAX_JOBS=$jobs MMCV_WITH_OPS=1
say() { printf 'mmcv: %s\n' "$*"; }

# mmcv compiles CUDA operators if torch finds a GPU, and then needs nvcc.
wants_cuda() {
  [ "${FORCE_CUDA:-0}" = 1 ] \
    || "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'
}

build_without_cuda() {
  say 'building without CUDA operators'
  export CUDA_VISIBLE_DEVICES='' FORCE_CUDA=0
  build_with_header
}

# The flags must equal those of the build, or g++ ignores the header.
flags='-g0 -O2 -DNDEBUG'
precompile_header() {
  local includes
  mapfile -t includes < <("$python" - <<'PY'
import sysconfig

from torch.utils.cpp_extension import include_paths

for path in [*include_paths(), sysconfig.get_paths()['include']]:
    print(f'-I{path}')
PY
  )
  echo '#include <torch/types.h>' > "$work/pch.h"
  # shellcheck disable=SC2086  # the flags are words
  "${CXX:-g++}" -x c++-header $flags -fPIC -std=c++17 \
    -DTORCH_API_INCLUDE_EXTENSION_H -DTORCH_EXTENSION_NAME=_ext \
    "${includes[@]}" "$work/pch.h" -o "$work/pch.h.gch"
}

build_wheel() {
  mkdir -p "$work/wheel"
  "$python" -m pip wheel -v --no-build-isolation --no-deps --no-cache-dir \
    --no-binary mmcv --wheel-dir "$work/wheel" "mmcv==$version" 2>&1 \
    | show_progress mmcv "$log"
}

build_with_header() {
  case "$work" in *[[:space:]]*) say 'the path of TMPDIR contains a space'; return 1 ;; esac
  say 'compiling the torch headers once (half a minute)'
  precompile_header 2> "$log" || return 1
  say "building with $jobs jobs (some minutes); log: $log"
  CFLAGS="$flags -include $work/pch.h -Winvalid-pch" build_wheel
}

if wants_cuda && ! command -v nvcc >/dev/null \
    && [ ! -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; then
  say 'found a GPU, but no nvcc'
  build_without_cuda || { say "the build failed; log: $log"; exit 1; }
elif ! build_with_header; then
  say "the quick build failed (see $log); plain build, about 20 minutes"
  # mmcv's CUDA sources are older than some CUDA tool kits.
  build_wheel || { wants_cuda && build_without_cuda; } \
    || { say "the build failed; log: $log"; exit 1; }
fi
mv -f "$work"/wheel/mmcv-*.whl "$out/"
say "wheel kept in $out"
