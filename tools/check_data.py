"""Check the data of a config and draw training pairs.

Example:
    python tools/check_data.py configs/mini/dff_rfcn_mobilenetv2_pets.py
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

import dff  # noqa: F401  configs may say _base_ = 'dff::…'
from dff.checks.data_sheet import save_sheet
from dff.checks.data_speed import describe_speed
from dff.checks.det_check import check_det_set
from dff.checks.seg_check import check_seg_set, pair_sets

SPLITS = ('train', 'val', 'test')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--splits',
        nargs='+',
        choices=SPLITS,
        default=SPLITS,
        help='splits to check (default: all)',
    )
    parser.add_argument('--sheet', default='pairs.png', help='image file of the pairs')
    parser.add_argument('--pairs', type=int, default=10, help='pairs to draw; 0: none')
    parser.add_argument('--seed', type=int, default=0, help='seed of the pairs')
    parser.add_argument(
        '--lines', type=int, default=10, help='lines to print per problem (default: 10)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='change the config: key=value',
    )
    return parser.parse_args()


def main() -> None:
    """Check the data, draw pairs and exit with 1 if there is a problem."""
    args = parse_args()
    if not Path(args.config).is_file():
        sys.exit(f'config {args.config} does not exist')
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    done, is_wrong = [], False
    for split in args.splits:
        loader = cfg.get(f'{split}_dataloader')
        for pairs in pair_sets(loader.to_dict() if loader else None):
            if pairs['dataset'] in done:
                continue
            done.append(pairs['dataset'])
            if 'CocoVIDDataset' in pairs['dataset']['type']:
                report = check_det_set(pairs, split)
            else:
                report = check_seg_set(pairs, split, None, False)
            print(report.to_text(args.lines))
            is_wrong |= bool(report.problems)
            if report.problems:
                continue
            print(describe_speed(pairs))
            if split == 'train' and args.pairs:
                save_sheet(pairs, args.sheet, count=args.pairs, seed=args.seed)
                print(f'  training pairs drawn to {args.sheet}')
            print()
    if not done:
        sys.exit(f'{args.config} must have a VideoPairDataset, got none')
    if is_wrong:
        sys.exit('\nthe data has problems, see above')
    print('no problems found')


if __name__ == '__main__':
    main()
