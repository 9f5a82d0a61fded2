"""Plot and tabulate accuracy over the distance from the key frame.

Example:
    python tools/analysis/plot_offsets.py dff.json copy.json --out offsets.png
"""

import argparse

from dff.visualization.offset_curves import save_offset_curves, tabulate_curves


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('json', nargs='+', help='files of PerOffsetMetric(out_file=)')
    parser.add_argument('--out', required=True, help='picture to write')
    parser.add_argument('--figure', help='such as vid/AP50 (default: the first)')
    parser.add_argument('--labels', nargs='+', help='of the curves, one a file')
    return parser.parse_args()


def main() -> None:
    """Read, draw, print the table, say where."""
    args = parse_args()
    curves = save_offset_curves(
        args.json, args.out, figure=args.figure, labels=args.labels
    )
    print(tabulate_curves(curves))
    print(f'picture: {args.out}')


if __name__ == '__main__':
    main()
