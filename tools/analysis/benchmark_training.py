"""Time a training step of a DFF model and one of its image model, at equal batch size.

Example:
    python tools/analysis/benchmark_training.py \
        configs/camvid/dff_fcn_mobilenetv2_camvid.py --size 256x320 --batch-size 4
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import torch
from mmengine.config import DictAction
from mmengine.utils import ProgressBar

import dff
from dff.apis.dff_model import parse_size
from dff.cost.training_step import (
    NAMES,
    TrainingSteps,
    summarise_steps,
    tabulate_steps,
    time_steps,
)
from dff.engine.memory import keep_freed_memory
from dff.files import write_json

MEMORY_STEPS = 3  # until the allocator stops growing


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of a DFF model with an optim_wrapper')
    parser.add_argument(
        '--size',
        type=parse_size,
        default=(256, 320),
        help='size of the frames, HxW (default: 256x320)',
    )
    parser.add_argument(
        '--batch-size', type=int, default=4, help='images or pairs (default: 4)'
    )
    parser.add_argument('--repeats', type=int, default=5, help='rounds (default: 5)')
    parser.add_argument('--device', default='cpu', help='cpu (default), cuda:0, …')
    parser.add_argument(
        '--threads', type=int, default=2, help='CPU threads (default: 2)'
    )
    parser.add_argument(
        '--cpu-time',
        action='store_true',
        help='measure CPU time instead of wall time, for busy machines; uses 1 thread',
    )
    parser.add_argument('--label', help='name in the table (default: the config)')
    parser.add_argument('--out', help='JSON file for the results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='change the config: key=value',
    )
    parser.add_argument('--only-memory-of', choices=NAMES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.repeats < 1 or args.batch_size < 1:
        parser.error('--repeats and --batch-size must be >= 1')
    if args.cpu_time and args.device != 'cpu':
        parser.error('--cpu-time needs --device cpu')
    return args


def peak_memory(steps: TrainingSteps, name: str) -> int:
    """Run some steps; return the peak memory of the device or process in bytes."""
    del steps.models['dff' if name == 'frame' else 'frame']
    for _ in range(MEMORY_STEPS):
        steps.step(name, clock=time.perf_counter)
    if steps.device.type == 'cuda':
        return torch.cuda.max_memory_allocated(steps.device)
    # not getrusage: a new program inherits the peak of the process that started it
    status = Path('/proc/self/status').read_text()
    return int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) * 1024


def measure_memory() -> dict[str, int]:
    """Measure the peak memory of each model in a new process, in bytes."""
    memory = {}
    for name in NAMES:
        command = [sys.executable, *sys.argv, '--only-memory-of', name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f'measuring the memory of {name} failed:\n{done.stderr}')
        memory[name] = json.loads(done.stdout.splitlines()[-1])
    return memory


def main() -> None:
    """Measure time and memory, and print them."""
    args = parse_args()
    keep_freed_memory()
    torch.set_num_threads(1 if args.cpu_time else args.threads)
    steps = TrainingSteps(
        args.config,
        size=args.size,
        batch_size=args.batch_size,
        device=args.device,
        options=args.cfg_options,
    )
    if args.only_memory_of:
        print(json.dumps(peak_memory(steps, args.only_memory_of)))
        return
    progress = ProgressBar(2 * (args.repeats + 1))
    times = time_steps(
        steps,
        repeats=args.repeats,
        clock=time.process_time if args.cpu_time else time.perf_counter,
        on_step=progress.update,
    )
    summary = summarise_steps(times, steps.count(), measure_memory())
    summary.update(
        label=args.label or args.config,
        config=args.config,
        size=args.size,
        batch_size=args.batch_size,
        device=args.device,
        threads=torch.get_num_threads(),
        is_cpu_time=args.cpu_time,
        torch=torch.__version__,
        dff=dff.__version__,
    )
    print('\n' + tabulate_steps([summary]))
    if args.out:
        write_json(summary, args.out)
        print(f'results written to {args.out}')


if __name__ == '__main__':
    main()
