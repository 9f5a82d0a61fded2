"""Plot accuracy over the distance from the key frame, and print it as a table.

Example:
    python tools/analysis/plot_offsets.py dff.json copy.json --out offsets.png
"""

import argparse

from dff.visualization.offset_curves import save_offset_curves, tabulate_curves


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'json', nargs='+', help='JSON files that PerOffsetMetric(out_file=...) wrote'
    )
    parser.add_argument('--out', required=True, help='image file to write')
    parser.add_argument('--figure', help='name such as vid/AP50 (default: first)')
    parser.add_argument('--labels', nargs='+', help='one curve label per file')
    return parser.parse_args()


def main() -> None:
    """Write the plot and print the table."""
    args = parse_args()
    curves = save_offset_curves(
        args.json, args.out, figure=args.figure, labels=args.labels
    )
    print(tabulate_curves(curves))
    print(f'plot written to {args.out}')


if __name__ == '__main__':
    main()
