#!/usr/bin/env bash
# Train with several ranks, one per GPU, or on CPUs (gloo) if there is no GPU.
#   bash tools/dist_train.sh CONFIG RANKS [options of train.py]
#   For several machines set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: bash tools/dist_train.sh CONFIG RANKS [options of train.py]" >&2
  exit 2
fi

python -m torch.distributed.run \
  --nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}" \
  --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}" \
  --nproc-per-node "$2" \
  "$(dirname "$0")/train.py" "$1" --launcher pytorch "${@:3}"
