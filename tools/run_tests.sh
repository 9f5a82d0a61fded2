#!/usr/bin/env bash
# Set-up, then the CPU test suite, in a process per core. Options go to pytest, e.g.
#   bash tools/run_tests.sh -k warp
#   bash tools/run_tests.sh -m slow    # those that take minutes, as .ci/run does
#   bash tools/run_tests.sh -n 0       # in one process, e.g. for --pdb
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh
export PATH="$PWD/.venv/bin:$PATH"
# Each process has all tests of a file, whose fixtures are shared, and 1 to 2 GB.
exec python -m pytest tests -m 'not slow' -n auto --maxprocesses 4 \
  --dist loadfile --no-loadscope-reorder --durations 20 "$@"
