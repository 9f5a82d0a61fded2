"""Run the tool of this name in tools/study; version 0.3 will remove this file."""

import runpy
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[1] / 'study' / 'tradeoff.py'

if __name__ == '__main__':
    print(f'{sys.argv[0]} has moved: use tools/study/{TOOL.name}', file=sys.stderr)
    runpy.run_path(str(TOOL), run_name='__main__')
