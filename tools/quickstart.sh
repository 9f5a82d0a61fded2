#!/usr/bin/env bash
# Set up the environment, then train, test and show DFF on synthetic video. Options are
# passed to tools/study/quickstart.py.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh
export PATH="$PWD/.venv/bin:$PATH"
exec python tools/study/quickstart.py "$@"
