"""Train and test the variants of a plan; a second start continues the first.

Example:
    python tools/study/run_variants.py configs/plans/camvid.yaml --out OUT
"""

import argparse
import sys
from pathlib import Path

import dff  # noqa: F401  (registers the models)
from dff_study.jobs.steps import StepError
from dff_study.jobs.variants import VariantJob

ROOT = Path(__file__).resolve().parents[2]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('plan', help='config file of the trainings and variants')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument(
        '--seeds', type=int, nargs='+', help='instead of those of the plan'
    )
    parser.add_argument(
        '--iterations', type=int, help='of each training, to try a plan'
    )
    parser.add_argument(
        '--report', action='store_true', help='only print the tables of finished tests'
    )
    return parser.parse_args()


def main() -> None:
    """Run the job and print its table."""
    args = parse_args()
    job = VariantJob(
        ROOT, args.plan, args.out, iterations=args.iterations, seeds=args.seeds
    )
    if not args.report:
        try:
            job.run()
        except StepError as error:
            sys.exit(f'\n{error}\nRun the same command again to continue from here.')
    print(job.report())


if __name__ == '__main__':
    main()
