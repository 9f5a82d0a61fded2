#!/usr/bin/env bash
# From a bare machine to an annotated video: set-up, then the main job on synthetic
# video. Options go to tools/study/quickstart.py.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup_env.sh
export PATH="$PWD/.venv/bin:$PATH"
exec python tools/study/quickstart.py "$@"
