"""Fill the tables and figures of the documentation from the runs in docs/runs.

Example:
    python tools/study/build_results.py            # write
    python tools/study/build_results.py --check    # only say what differs
"""

import argparse
import sys
from pathlib import Path

from dff_study.reports.result_pages import ResultPages, ResultsError

ROOT = Path(__file__).resolve().parents[2]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--check', action='store_true', help='write nothing; fail where a page differs'
    )
    return parser.parse_args()


def main() -> None:
    """Fill or check, and name what differed."""
    args = parse_args()
    try:
        stale = ResultPages(ROOT).build(is_check=args.check)
    except ResultsError as error:
        sys.exit(str(error))
    for mark in stale:
        print(f'{"differs" if args.check else "filled"}: {mark}')
    if args.check and stale:
        sys.exit('Run tools/study/build_results.py to fill the pages from docs/runs.')
    print(f'{len(stale)} marks {"differ" if args.check else "filled"}')


if __name__ == '__main__':
    main()
