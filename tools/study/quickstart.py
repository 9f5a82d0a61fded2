"""Train and test a small DFF detector and segmentor on synthetic video, on a CPU.

Makes the videos, trains a frame detector and a frame segmentor and the DFF version of
each, from one flow network, tests them, and writes annotated videos, a picture of the
flow, a plot and a table, in minutes. A run that was stopped goes on where it was when
it is started again.
"""

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from dff_study.jobs.steps import StepError
from dff_study.quickstart.configs import FULL, SMOKE
from dff_study.quickstart.job import QuickStart

ROOT = Path(__file__).resolve().parents[2]


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('quickstart'))
    parser.add_argument(
        '--smoke',
        action='store_true',
        help='two iterations of everything: checks the installation, shows nothing',
    )
    return parser.parse_args(args)


def shorten(path: Path) -> str:
    """Give a path from here if it is below, or else in full."""
    here = Path.cwd()
    return os.path.relpath(path) if path.is_relative_to(here) else str(path)


def main(args: argparse.Namespace) -> None:
    """Do the job and name what came out."""
    start = time.monotonic()
    job = QuickStart(ROOT, args.out, SMOKE if args.smoke else FULL)
    try:
        job.run()
    except (StepError, ValueError) as error:
        sys.exit(f'\n{error}\nThe steps before are kept: run the same command again.')
    print(f'\n{job.table.read_text()}')
    if args.smoke:
        print('Two iterations teach nothing: these figures mean nothing.\n')
    print(f'Done in {(time.monotonic() - start) / 60:.1f} minutes:')
    for path, what in (
        (job.videos['det'], 'the test videos with the boxes of DFF, key frames marked'),
        (job.videos['seg'], 'the same with its labels'),
        (job.flow, 'frames, flow, and the key frame warped by it'),
        (job.curves, 'AP50 and mIoU over the distance from the key frame'),
        (job.table, 'the table above'),
        (job.table.with_suffix('.json'), 'all figures'),
    ):
        print(f'  {shorten(path)}  {what}')
    print('\nA video of your own, with boxes or labels:')
    for name in ('det_dff', 'seg_dff'):
        files = (job.configs.path(name), job.configs.weights(name))
        model = shlex.join(shorten(path) for path in files)
        print(f'  python tools/video_demo.py VIDEO {model} --out OUT.mp4')
    print(
        'Your own data and model: docs/own_data.md, docs/own_configs.md; e.g.'
        '\n  python tools/dataset_converters/mot2cocovid.py --help'
    )


if __name__ == '__main__':
    main(parse_args())
