#!/usr/bin/env bash
# Train on a Slurm cluster with one rank per GPU.
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]
#   Set GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS for the size of the job.
set -euo pipefail

if [ $# -lt 4 ]; then
  echo "usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR" \
    "[options of train.py]" >&2
  exit 2
fi

gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}

# unquoted: SRUN_ARGS may have several words
# shellcheck disable=SC2086
srun -p "$1" --job-name "$2" \
  --gres "gpu:$per_node" --ntasks "$gpus" --ntasks-per-node "$per_node" \
  --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  python -u "$(dirname "$0")/train.py" "$3" --work-dir "$4" \
  --launcher slurm "${@:5}"
