"""Check that the model of a config works as a DFF model, and explain what fails.

The checks run the model on small random frames. They cover training, single images,
key frames, l = 1, a known flow and test batches. Without a checkpoint the weights are
random.

Examples:
    python tools/check_model.py configs/wrapped/dff_fcos_r50_fpn_vid.py
    python tools/check_model.py my_config.py --checkpoint work_dirs/my/epoch_12.pth
    python tools/check_model.py mmdet::retinanet/retinanet_r50_fpn_1x_coco.py \
        --split backbone last scores
"""

import argparse
import sys

from mmengine.config import DictAction

import dff  # noqa: F401  (registers the models)
from dff.apis.dff_model import parse_size
from dff.checks.build import build_to_check
from dff.checks.model import SMALL, CheckResult, check_model
from dff.files import write_json


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'config', help='config of a DFF model, or of an image model to wrap'
    )
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
    parser.add_argument(
        '--split',
        nargs='+',
        default=[None],
        help='where N_feat ends, one check each (default: as in the config)',
    )
    parser.add_argument('--out', help='JSON file for the results')
    return parser.parse_args()


def main() -> None:
    """Check the model at every split asked for; exit with 1 if a check fails."""
    args = parse_args()
    report, failures = {}, []
    for split in args.split:
        findings, failure = check(args, split)
        report[str(split)] = {finding.check: finding.problem for finding in findings}
        failures += [failure] if failure else []
    if args.out:
        write_json(dict(config=args.config, size=args.size, splits=report), args.out)
    if failures:
        sys.exit('\n'.join(failures))


def check(
    args: argparse.Namespace, split: str | None
) -> tuple[list[CheckResult], str | None]:
    """Build and check the model at one split; return the results and what failed."""
    options = dict(args.cfg_options)
    if split is not None:
        options['model.split'] = int(split) if split.isdigit() else split
        print(f'split {split}')
    try:
        model = build_to_check(
            args.config,
            checkpoint=args.checkpoint,
            size=args.size,
            options=options,
        )
    except (ValueError, TypeError, FileNotFoundError) as error:
        return [], f'FAILED  the model cannot be built: {error}'
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
        return findings, (
            f'{failed} of {len(findings)} checks failed on frames of {height}x{width}; '
            'if the model needs larger frames, set --size'
        )
    print(f'all {len(findings)} checks passed')
    return findings, None


if __name__ == '__main__':
    main()
