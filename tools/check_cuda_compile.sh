#!/usr/bin/env bash
# Compile the CUDA kernels for all supported architectures; needs no GPU.
# Usage: bash tools/check_cuda_compile.sh [SM ...]   (default: 80 90 100)
# PYTHON is the interpreter that has torch. Exits with 3 if there is no nvcc.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
csrc=$root/projects/dff/ops/csrc
if [ -z "${PYTHON:-}" ]; then
  PYTHON=$root/.venv/bin/python
  [ -x "$PYTHON" ] || PYTHON=python3
fi
nvcc=${CUDA_HOME:-/usr/local/cuda}/bin/nvcc
[ -x "$nvcc" ] || nvcc=$(command -v nvcc || true)
if [ -z "$nvcc" ]; then
  echo 'check_cuda_compile: no nvcc in CUDA_HOME/bin, /usr/local/cuda/bin or PATH' >&2
  exit 3
fi

mapfile -t includes < <("$PYTHON" -c "
import sysconfig
from torch.utils.cpp_extension import include_paths
print(*include_paths(), sysconfig.get_path('include'), sep='\n')")
flags=(-O3 -DNDEBUG -std=c++17 --expt-relaxed-constexpr -DDFF_WITH_CUDA
  -D__CUDA_NO_HALF_OPERATORS__ -D__CUDA_NO_HALF_CONVERSIONS__
  -D__CUDA_NO_BFLOAT16_CONVERSIONS__ -D__CUDA_NO_HALF2_OPERATORS__
  --compiler-options -fPIC --threads 2 -I "$csrc")
for folder in "${includes[@]}"; do flags+=(-isystem "$folder"); done
for sm in "${@:-80 90 100}"; do
  for one in $sm; do flags+=(-gencode "arch=compute_$one,code=sm_$one"); done
done

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for source in "$csrc"/cuda/*.cu; do
  echo "nvcc ${source#"$root/"}"
  "$nvcc" "${flags[@]}" -c "$source" -o "$out/kernel.o"
done
echo "check_cuda_compile: compiled for sm ${*:-80 90 100}"
