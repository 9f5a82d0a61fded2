"""Check the data of a segmentation config before training."""

import argparse
import sys

from mmengine.config import Config, DictAction

import dff  # noqa: F401  configs may say _base_ = 'dff::…'
from dff.checks.seg_check import check_seg_data


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--split',
        default='train',
        choices=['train', 'val', 'test'],
        help='split to check (default: train)',
    )
    parser.add_argument(
        '--interval',
        type=int,
        help='key frame interval l (default: from the config)',
    )
    parser.add_argument(
        '--headers-only',
        action='store_true',
        help='read only the headers of frames without labels (much faster)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='change the config: key=value',
    )
    return parser.parse_args()


def main() -> None:
    """Check the data, print the report and exit with 1 if there is a problem."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    reports = check_seg_data(
        cfg,
        split=args.split,
        interval=args.interval,
        headers_only=args.headers_only,
    )
    print('\n\n'.join(map(str, reports)))
    if any(report.problems for report in reports):
        sys.exit(1)
    print('\nno problems found')


if __name__ == '__main__':
    main()
