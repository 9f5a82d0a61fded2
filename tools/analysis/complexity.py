"""Count multiply-adds and parameters; predict the speed-up by Eq. (5) to (7).

Examples:
    python tools/analysis/complexity.py                  # Table 2 of the paper
    python tools/analysis/complexity.py configs/cityscapes/dff_fcn_r101_cityscapes.py \
        --size 1024x2048 --interval 1 5 10
    python tools/analysis/complexity.py --wrap --size 512x1024 \
        mmseg::deeplabv3plus/deeplabv3plus_r101-d8_4xb2-40k_cityscapes-512x1024.py
"""

import argparse
from pathlib import Path

from mmengine.config import DictAction

import dff  # noqa: F401  (registers the models)
from dff.apis.dff_model import build_dff_model, parse_size
from dff.cost.complexity_report import (
    describe_model,
    describe_table2,
    format_model,
    format_table2,
)
from dff.cost.split_report import describe_splits, format_splits
from dff.files import write_json

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
PAPER_MODELS = {50: 'vid/dff_rfcn_r50_vid.py', 101: 'vid/dff_rfcn_r101_vid.py'}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'config', nargs='*', help='configs of DFF models (default: those of Table 2)'
    )
    parser.add_argument(
        '--size',
        type=parse_size,
        default=(600, 1000),
        help='size of the frames, HxW (default: 600x1000)',
    )
    parser.add_argument(
        '--interval',
        type=int,
        nargs='+',
        default=[10],
        help='key frame intervals l (default: 10)',
    )
    parser.add_argument(
        '--wrap',
        action='store_true',
        help='the configs are of image models: show what wrapping them gives at every '
        'split',
    )
    parser.add_argument('--out', help='JSON file for the results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='change the config: key=value',
    )
    args = parser.parse_args()
    if min(args.interval) < 1:
        parser.error(f'--interval must be >= 1, got {min(args.interval)}')
    for name, value in (('cfg-options', args.cfg_options), ('wrap', args.wrap)):
        if value and not args.config:
            parser.error(f'--{name} needs a config')
    others = [name for name in args.cfg_options if not name.startswith('model.')]
    if args.wrap and (others or len(args.interval) > 1):
        parser.error(
            '--wrap takes one --interval, and of --cfg-options those of the video '
            f'model (model.proposals=300), got {others}'
        )
    return args


def main() -> None:
    """Count, predict and print."""
    args = parse_args()
    if args.wrap:
        figures = {}
        options = {k.removeprefix('model.'): v for k, v in args.cfg_options.items()}
        for path in args.config:
            rows = describe_splits(path, args.size, args.interval[0], **options)
            table = format_splits(rows, size=args.size, interval=args.interval[0])
            print(f'{path}\n{table}\n')
            figures[path] = rows
    elif args.config:
        figures = {}
        for path in args.config:
            model = build_dff_model(path, options=args.cfg_options)
            figures[path] = describe_model(model, args.size, args.interval)
            print(format_model(path, figures[path]))
    else:
        models = {d: build_dff_model(CONFIGS / p) for d, p in PAPER_MODELS.items()}
        figures = describe_table2(models, args.size, args.interval)
        print(format_table2(figures))
    if args.out:
        write_json(figures, args.out)
        print(f'results written to {args.out}')


if __name__ == '__main__':
    main()
