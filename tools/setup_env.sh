#!/usr/bin/env bash
# Create .venv in the repository root with the tested packages and `dff`.
# Needs Python 3.11 (or PYTHON=...), a C++ compiler and a package registry.
# A second run takes seconds; delete .venv to start over.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv="$root/.venv"
python="$venv/bin/python"
# shellcheck source=tools/progress.sh
source tools/progress.sh
# Overrides the constraints of the machine's pip configuration. The path is relative
# because pip splits this variable at spaces.
export PIP_CONSTRAINT=requirements/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\n[set-up] %s\n' "$*"; }
fail() { printf '\n[set-up] %s\n' "$*" >&2; exit 1; }

find_python() {
  local name
  for name in "${PYTHON:-}" python3.11 python3 python; do
    if [ -n "$name" ] && "$name" -c \
        'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  fail 'Python 3.11 is not on PATH; install it or set PYTHON=/path/to/python3.11'
}

check_compiler() {
  command -v "${CXX:-g++}" >/dev/null || fail 'no C++ compiler (g++); install one or set CXX'
  "$python" - <<'PY' || fail 'Python.h is missing; install the python3.11-dev package'
import pathlib
import sys
import sysconfig

sys.exit(not pathlib.Path(sysconfig.get_paths()['include'], 'Python.h').is_file())
PY
}

make_venv() {
  if [ -x "$python" ] && "$python" -c '' 2>/dev/null; then return; fi
  local base
  base=$(find_python)
  say "creating .venv with $("$base" --version)"
  "$base" -m venv "$venv" || fail "$base has no venv module (package python3.11-venv)"
}

hash_of() { cat "$@" | sha256sum | cut -d' ' -f1; }

pip_install() {  # FILE with one pinned package per line
  "$python" -m pip install --no-deps -r "$1" 2>&1 \
    | show_packages "$(wc -l < "$1")" "$venv/install.log" \
    || { tail -n 20 "$venv/install.log"; fail "log: $venv/install.log"; }
}

# Everything is pinned and pip follows no dependency. Otherwise it would install
# opencv-python, which needs libGL, beside opencv-python-headless.
install_pinned() {
  local stamp want list
  stamp="$venv/.dff-pinned"
  want=$(hash_of requirements/constraints.txt tools/setup_env.sh)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then return; fi
  say 'installing the pinned packages (torch is large: minutes)'
  list="$venv/.dff-list.txt"
  grep -E '^(pip|setuptools|wheel)==' requirements/constraints.txt > "$list"
  pip_install "$list"
  grep -vE '^(#|pip==|setuptools==|wheel==|mmcv==|opencv-python==)' \
    requirements/constraints.txt > "$list"
  pip_install "$list"
  remove_other_opencv
  "$python" -c 'import cv2, torch'
  echo "$want" > "$stamp"
}

# A user may have installed it. Removing it also removes files of the headless package.
remove_other_opencv() {
  if "$python" -m pip show -q opencv-python 2>/dev/null; then
    "$python" -m pip uninstall -y opencv-python
    "$python" -m pip install --no-deps --force-reinstall \
      "$(grep '^opencv-python-headless==' requirements/constraints.txt)"
  fi
}

# Exits 0 if the compiled operators of mmcv run; prints a note if only the CUDA ones
# are missing.
mmcv_works() {
  "$python" - <<'PY' 2>/dev/null
import torch
from mmcv.ops import nms

boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8], [20, 0, 30, 9]])
scores = torch.tensor([0.5, 0.9, 0.1])
assert nms(boxes, scores, 0.5)[1].tolist() == [1, 2]
if torch.cuda.is_available():
    try:
        nms(boxes.cuda(), scores.cuda(), 0.5)
    except RuntimeError:
        print('[set-up] note: mmcv has no CUDA operators here (nvcc builds them)')
PY
}

install_mmcv() {
  local version cache stamp want
  version=$(sed -n 's/^mmcv==//p' requirements/constraints.txt)
  stamp="$venv/.dff-mmcv"
  want=$(cat "$venv/.dff-pinned")
  if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then return; fi
  cache="${XDG_CACHE_HOME:-$HOME/.cache}/dff/wheels/$("$python" - <<'PY'
import platform

import torch

gpu = '-gpu' if torch.cuda.is_available() else ''
print(f'torch{torch.__version__}-cp311-{platform.machine()}{gpu}')
PY
  )"
  if ! mmcv_works && ! { install_mmcv_wheel "$cache" "$version" && mmcv_works; }; then
    say "no wheel of mmcv $version fits; building one (kept in $cache)"
    bash tools/build_mmcv.sh "$python" "$cache" "$version"
    { install_mmcv_wheel "$cache" "$version" && mmcv_works; } \
      || fail "the mmcv that was built does not work; log: $venv/install.log"
  fi
  echo "$want" > "$stamp"
}

# Uses the wheel built here before, or else one that pip finds (PIP_FIND_LINKS).
install_mmcv_wheel() {
  local wheel
  wheel=$(find "$1" -name "mmcv-$2-*.whl" 2>/dev/null | head -n 1)
  say "looking for a wheel of mmcv $2"
  "$python" -m pip install --no-deps --force-reinstall --only-binary :all: \
    "${wheel:-mmcv==$2}" > "$venv/install.log" 2>&1
}

install_dff() {
  local stamp want
  stamp="$venv/.dff-installed"
  want=$(find setup.py pyproject.toml model-index.yml requirements/runtime.txt \
      projects/dff/ops/csrc -type f -print0 | sort -z | xargs -0 cat \
    | cat - <(echo "$root ${FORCE_CUDA:-} ${TORCH_CUDA_ARCH_LIST:-} ${CUDA_HOME:-}") \
    | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] \
      && compgen -G 'projects/dff/ops/_C*.so' >/dev/null; then
    return
  fi
  if [ -z "${FORCE_CUDA:-}" ] \
      && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    export FORCE_CUDA=0
    say 'no GPU found: building CPU operators only (FORCE_CUDA=1 builds the CUDA ones too)'
  fi
  say 'building the operators and installing dff (editable)'
  "$python" -m pip install -v -e . --no-build-isolation --no-deps --no-use-pep517 2>&1 \
    | show_progress dff "$venv/build-dff.log" \
    || { tail -n 30 "$venv/build-dff.log"; fail "log: $venv/build-dff.log"; }
  "$python" -c 'import dff.ops'
  echo "$want" > "$stamp"
}

make_venv
check_compiler
export PATH="$venv/bin:$PATH" VIRTUAL_ENV="$venv"
export MAX_JOBS="${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}"
install_pinned
install_mmcv
install_dff
say "ready: $venv"
