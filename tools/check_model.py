"""Check that the model of a config works as a DFF model, and explain what fails.

The checks run the model on small random frames. They cover training, single images,
key frames, l = 1, a known flow and test batches. Without a checkpoint the weights are
random.

Examples:
    python tools/check_model.py configs/wrapped/dff_fcos_r50_fpn_vid.py
    python tools/check_model.py my_config.py --checkpoint work_dirs/my/epoch_12.pth
"""

import argparse
import sys

from mmengine.config import DictAction

import dff  # noqa: F401  (registers the models)
from dff.apis.dff_model import parse_size
from dff.checks.build import build_to_check
from dff.checks.model import SMALL, check_model


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of a DFF model')
    parser.add_argument('--checkpoint', help='checkpoint (default: random weights)')
    parser.add_argument(
        '--size',
        type=parse_size,
        default=SMALL,
        help='size of the frames, HxW (default: 128x192)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='change the config: key=value',
    )
    return parser.parse_args()


def main() -> None:
    """Build and check the model; exit with 1 if a check fails."""
    args = parse_args()
    try:
        model = build_to_check(
            args.config,
            checkpoint=args.checkpoint,
            size=args.size,
            options=args.cfg_options,
        )
    except (ValueError, TypeError, FileNotFoundError) as error:
        sys.exit(f'FAILED  the model cannot be built: {error}')
    findings = check_model(
        model, size=args.size, on_check=lambda name: print(f'{name} ...', flush=True)
    )
    for finding in findings:
        print(f'{"FAILED" if finding.problem else "ok    "}  {finding.check}')
        if finding.problem:
            print(f'        {finding.problem}')
    failed = sum(finding.problem is not None for finding in findings)
    if failed:
        height, width = args.size
        sys.exit(
            f'{failed} of {len(findings)} checks failed on frames of {height}x{width}; '
            'if the model needs larger frames, set --size'
        )
    print(f'all {len(findings)} checks passed')


if __name__ == '__main__':
    main()
