"""Write docs/results.md and the tables of runs from the files in docs/runs.

Example:
    python tools/study/build_results.py            # write
    python tools/study/build_results.py --check    # only list the files that differ
"""

import argparse
import sys
from pathlib import Path

from dff_study.reports.pages import update_pages

ROOT = Path(__file__).resolve().parents[2]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--check', action='store_true', help='write nothing; fail if a file differs'
    )
    return parser.parse_args()


def main() -> None:
    """Write or check the files, and list those that differ."""
    args = parse_args()
    stale = update_pages(ROOT, is_check=args.check)
    for path in stale:
        print(f'{"differs" if args.check else "written"}: {path.relative_to(ROOT)}')
    if args.check and stale:
        sys.exit('Run tools/study/build_results.py to write these files.')
    print(f'{len(stale)} files {"differ" if args.check else "written"}')


if __name__ == '__main__':
    main()
