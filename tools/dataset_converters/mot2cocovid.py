"""Convert MOT sequences (img1/ folders or video files) to CocoVID."""

import argparse

from dff.converters.data import convert_mot, parse_frames


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', help='a sequence, or a folder of sequences')
    parser.add_argument('out', help='data root to write')
    parser.add_argument(
        '--name', help='OUT/annotations/NAME.json', default='annotations'
    )
    parser.add_argument('--classes', nargs='+', default=['person'])
    parser.add_argument(
        '--frames',
        type=parse_frames,
        default=(0, None),
        metavar='FIRST-LAST',
        help='0-based, both included; FIRST- goes to the end',
    )
    parser.add_argument('--sequences', nargs='+', help='only these sequences')
    return parser.parse_args()


def main() -> None:
    """Convert and print what was written."""
    args = parse_args()
    writer = convert_mot(
        args.root,
        args.out,
        name=args.name,
        classes=args.classes,
        frames=args.frames,
        sequences=args.sequences,
    )
    print(writer.report())
    print(f'wrote {args.out}/annotations/{args.name}.json')


if __name__ == '__main__':
    main()
