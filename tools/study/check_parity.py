"""Compare the network with that of the authors, array by array.

Both get the same frames and weights. The exit status is 1 if an array differs by more
than 1e-3 of its largest absolute value.
"""

import argparse
import sys
from pathlib import Path

import dff  # noqa: F401  (registers the models)
from dff_study import parity

CONFIG = Path(__file__).resolve().parents[2] / 'configs/vid/dff_rfcn_r101_vid.py'


def main() -> None:
    """Read the command line, compare, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'oracle', help='.npz file with inputs and outputs of the authors'
    )
    parser.add_argument(
        '--weights',
        required=True,
        help='.params file of MXNet; .py file whose weights() yields (kind, name, '
        'array); or a converted checkpoint',
    )
    parser.add_argument('--config', default=str(CONFIG), help='default: %(default)s')
    args = parser.parse_args()
    try:
        oracle = parity.read_oracle(args.oracle)
        model = parity.load_model(args.config, args.weights)
        rows = parity.compare(model, oracle)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'error: {error}')
    print(f'{args.oracle}, weights {args.weights}')
    print(parity.table(rows))
    far = [row.name for row in rows if not row.is_close]
    if far:
        sys.exit(f'more than {parity.TOLERANCE} apart: {", ".join(far)}')
    print(f'all within {parity.TOLERANCE}')


if __name__ == '__main__':
    main()
