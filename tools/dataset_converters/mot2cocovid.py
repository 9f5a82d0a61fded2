"""Convert MOT sequences (img1/ folders or video files) to CocoVID."""

import argparse

from dff.converters.data import convert_mot, parse_frames


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', help='sequence folder, or folder of sequences')
    parser.add_argument('out', help='data root to write to')
    parser.add_argument(
        '--name', default='annotations', help='name of OUT/annotations/NAME.json'
    )
    parser.add_argument(
        '--classes', nargs='+', default=['person'], help='class name (default: person)'
    )
    parser.add_argument(
        '--frames',
        type=parse_frames,
        default=(0, None),
        metavar='FIRST-LAST',
        help='frames to convert, from 0, both ends included; FIRST- means to the end '
        '(default: all)',
    )
    parser.add_argument(
        '--sequences', nargs='+', help='sequences to convert (default: all)'
    )
    return parser.parse_args()


def main() -> None:
    """Convert and print a summary."""
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
