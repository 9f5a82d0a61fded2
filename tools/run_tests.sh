#!/usr/bin/env bash
# Set-up, then the CPU test suite. Options go to pytest, e.g.
#   bash tools/run_tests.sh -k warp
#   bash tools/run_tests.sh -m ''      # the slow ones too
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh
export PATH="$PWD/.venv/bin:$PATH"
exec python -m pytest tests -m 'not slow' "$@"
