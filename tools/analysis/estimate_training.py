"""Estimate the time and GPU memory of a training, without a GPU.

The tool runs one step with one sample on the CPU and counts its operations. The number
of samples comes from the config (max_iters x auto_scale_lr.base_batch_size). The rate
that a GPU sustains is an assumption (--tflops). The results are estimates.

Example:
    python tools/analysis/estimate_training.py configs/vid/dff_rfcn_r101_vid.py
    python tools/analysis/estimate_training.py \
        configs/cityscapes/dff_fcn_r101_cityscapes.py --size 1024x2048
"""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.registry import MODELS, init_default_scope
from tabulate import tabulate

import dff  # noqa: F401  (registers the models)
from dff.apis.dff_model import parse_size
from dff.cost.training_cost import StepCost, make_training_data, measure_step
from dff.files import write_json

GIB = 2**30


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', nargs='+', help='config files')
    parser.add_argument(
        '--size',
        type=parse_size,
        default=(600, 1000),
        help='size of the images, HxW (default: 600x1000)',
    )
    parser.add_argument(
        '--gpus',
        type=int,
        nargs='+',
        default=[4, 8],
        help='numbers of GPUs (default: 4 8)',
    )
    parser.add_argument(
        '--tflops',
        type=float,
        nargs='+',
        default=[5.0, 20.0],
        help='sustained rates of a GPU in TFLOP/s (default: 5 20)',
    )
    parser.add_argument('--out', help='JSON file for the counts and the table')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='change the config: key=value',
    )
    return parser.parse_args()


def measure(cfg: Config, size: tuple[int, int]) -> StepCost:
    """Build the model of a config with random weights and count one training step."""
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    torch.manual_seed(0)
    # without init_weights, which would download weights
    model = MODELS.build(cfg.model)
    return measure_step(model, make_training_data(model, size))


def rows_of(
    cfg: Config, name: str, cost: StepCost, args: argparse.Namespace
) -> list[list[str]]:
    """Return one table row for each number of GPUs."""
    total = cfg.auto_scale_lr.base_batch_size
    num_samples = cfg.train_cfg.max_iters * total
    rows = []
    for gpus in args.gpus:
        batch_size = -(-total // gpus)
        hours = [
            cost.hours(num_samples, num_gpus=gpus, tflops=tflops)
            for tflops in args.tflops
        ]
        rows.append(
            [
                name,
                f'{2 * cost.macs / 1e12:.2f}',
                f'{num_samples:,}',
                f'{gpus} x {batch_size}',
                f'{cost.memory(batch_size) / GIB:.1f}',
                *(f'{value:.1f}' for value in hours),
            ]
        )
    return rows


def main() -> None:
    """Count the operations and print the estimates."""
    args = parse_args()
    rows, counts = [], {}
    for path in args.config:
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(args.cfg_options)
        cost = measure(cfg, args.size)
        counts[path] = vars(cost)
        rows += rows_of(cfg, Path(path).stem, cost, args)
    head = [
        'config',
        'TFLOP per sample',
        'samples',
        'GPUs x batch',
        'GiB per GPU, at least',
    ]
    head += [f'hours at {tflops:g} TFLOP/s' for tflops in args.tflops]
    print(tabulate(rows, head, tablefmt='github', disable_numparse=True))
    if args.out:
        write_json(dict(counts=counts, table=[head, *rows]), args.out)


if __name__ == '__main__':
    main()
