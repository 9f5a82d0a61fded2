#!/usr/bin/env bash
# Test with several ranks, one per GPU, or on CPUs (gloo) if there is no GPU.
#   bash tools/dist_test.sh CONFIG CHECKPOINT RANKS [options of test.py]
#   For several machines set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail

if [ $# -lt 3 ]; then
  echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT RANKS [options of test.py]" >&2
  exit 2
fi

python -m torch.distributed.run \
  --nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}" \
  --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}" \
  --nproc-per-node "$3" \
  "$(dirname "$0")/test.py" "$1" "$2" --launcher pytorch "${@:4}"
