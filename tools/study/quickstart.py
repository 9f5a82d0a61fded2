"""Train and test a small DFF detector and segmentor on synthetic video, on a CPU.

Makes the videos, trains a frame detector and a frame segmentor and the DFF version of
each, from one flow network, tests them, and writes annotated videos, a picture of the
flow, a plot and a table, in minutes. A second start continues a run that was stopped.
"""

import argparse
import os
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path

from dff_study.jobs.steps import StepError
from dff_study.quickstart.configs import FULL, SMOKE, TASKS
from dff_study.quickstart.job import QuickStart

ROOT = Path(__file__).resolve().parents[2]
VIDEO = dict(det='boxes of DFF and marked key frames', seg='labels of DFF')


def parse_tasks(text: str) -> tuple[str, ...]:
    """Read names of tasks with commas between, in the order of `TASKS`."""
    names = text.split(',')
    if unknown := [name for name in names if name not in TASKS]:
        raise argparse.ArgumentTypeError(
            f'tasks must be of {list(TASKS)}, got {unknown}'
        )
    return tuple(name for name in TASKS if name in names)


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('quickstart'))
    parser.add_argument(
        '--smoke',
        action='store_true',
        help='two iterations of everything, to check the installation',
    )
    parser.add_argument(
        '--tasks',
        type=parse_tasks,
        default=tuple(TASKS),
        help=f'tasks with commas between (default: {",".join(TASKS)})',
    )
    return parser.parse_args(args)


def shorten(path: Path) -> str:
    """Return a relative path if it is below the current folder."""
    here = Path.cwd()
    return os.path.relpath(path) if path.is_relative_to(here) else str(path)


def main(args: argparse.Namespace) -> None:
    """Run the job and list the files it wrote."""
    start = time.monotonic()
    settings = replace(SMOKE if args.smoke else FULL, tasks=args.tasks)
    job = QuickStart(ROOT, args.out, settings)
    try:
        job.run()
    except (StepError, ValueError) as error:
        sys.exit(f'\n{error}\nRun the same command again to continue from here.')
    print(f'\n{job.table.read_text()}')
    if args.smoke:
        print('After two iterations these figures mean nothing.\n')
    print(f'Done in {(time.monotonic() - start) / 60:.1f} minutes:')
    for path, what in (
        *((path, f'test videos with the {VIDEO[n]}') for n, path in job.videos.items()),
        (job.flow, 'frames, flow, and the warped key frame'),
        (job.curves, 'accuracy by distance from the key frame'),
        (job.table, 'the table above'),
        (job.table.with_suffix('.json'), 'all figures'),
    ):
        print(f'  {shorten(path)}  {what}')
    print('\nTo run a model on your own video:')
    for name in (f'{task}_dff' for task in args.tasks):
        files = (job.configs.path(name), job.configs.weights(name))
        model = shlex.join(shorten(path) for path in files)
        print(f'  python tools/video_demo.py VIDEO {model} --out OUT.mp4')
    print(
        'For your own data and model see docs/own_data.md, docs/own_configs.md and'
        '\n  python tools/dataset_converters/mot2cocovid.py --help'
    )


if __name__ == '__main__':
    main(parse_args())
