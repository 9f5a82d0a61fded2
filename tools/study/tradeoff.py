"""Accuracy against speed (paper Fig. 3); a second start continues the first.

Examples:
    python tools/study/tradeoff.py configs/plans/tradeoff_vid.yaml --out OUT
    python tools/study/tradeoff.py configs/plans/tradeoff_camvid.yaml --out OUT \
        --variants docs/runs/camvid
"""

import argparse
import sys
from pathlib import Path

import dff  # noqa: F401  (registers the models)
from dff.apis.dff_model import parse_size
from dff.engine.memory import keep_freed_memory
from dff.files import write_atomically
from dff_study.jobs.steps import StepError
from dff_study.jobs.tradeoff import TradeoffJob
from dff_study.reports.tradeoff_plots import save_plots
from dff_study.reports.tradeoff_table import tabulate_parts, tabulate_points

ROOT = Path(__file__).resolve().parents[2]


def parse_row(text: str) -> tuple[str, str]:
    """Read ROW=PATH."""
    row, sign, path = text.partition('=')
    if not (sign and row and path):
        raise argparse.ArgumentTypeError(f'expected ROW=PATH, got {text!r}')
    return row, path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('plan', help='config file of the rows')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument(
        '--checkpoints',
        type=parse_row,
        nargs='+',
        default=[],
        metavar='ROW=PATH',
        help='weights of rows, to test by offset on the data of their configs',
    )
    parser.add_argument(
        '--variants',
        type=Path,
        help='folder of run_variants.py, for its figures by offset',
    )
    parser.add_argument('--rows', nargs='+', help='only these rows of the plan')
    parser.add_argument(
        '--report', action='store_true', help='only report finished rows'
    )
    parser.add_argument(
        '--size', type=parse_size, help='HxW, instead of that of the plan'
    )
    parser.add_argument('--repeats', type=int, help='instead of those of the plan')
    parser.add_argument('--stream', type=int, help='l of the whole stream')
    parser.add_argument('--device', help='default: cpu')
    parser.add_argument('--threads', type=int, help='on the CPU (default: 2)')
    parser.add_argument(
        '--cpu-time',
        action='store_true',
        help='count CPU seconds, for a busy machine; uses one thread',
    )
    return parser.parse_args()


def main() -> None:
    """Run the job; write CSV and plots, print tables."""
    args = parse_args()
    keep_freed_memory()
    names = ('size', 'repeats', 'stream', 'device', 'threads')
    speed = {n: getattr(args, n) for n in names if getattr(args, n) is not None}
    if args.cpu_time:
        speed |= dict(is_cpu_time=True, threads=args.threads or 1)
    job = TradeoffJob(
        ROOT,
        args.plan,
        args.out,
        variants=args.variants,
        checkpoints=dict(args.checkpoints),
        rows=args.rows,
        speed=speed,
    )
    if not args.report:
        try:
            job.run()
        except StepError as error:
            sys.exit(f'\n{error}\nRun the same command again to continue from here.')
    points = job.read()
    with write_atomically(args.out / 'tradeoff.csv') as temporary:
        points.to_csv(temporary, index=False)
    pictures = save_plots(points, args.out, figure=job.figure)
    print(tabulate_points(points, job.figure))
    print('\n' + tabulate_parts(job.read_speeds()))
    print(f'\nfigures: {args.out / "tradeoff.csv"}')
    print('pictures: ' + ', '.join(map(str, pictures)))


if __name__ == '__main__':
    main()
