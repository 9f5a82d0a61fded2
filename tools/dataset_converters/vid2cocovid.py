"""Convert the XML annotations of ImageNet VID (or DET) to CocoVID."""

import argparse

from dff.datasets.converters import convert_vid


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', help='folder that holds Data/VID and Annotations/VID')
    parser.add_argument('out', help='json file to write')
    parser.add_argument('--split', default='val', help='train, val or test')
    parser.add_argument(
        '--kind', default='VID', choices=['VID', 'DET'], help='videos or stills'
    )
    parser.add_argument(
        '--labelled-frames', help='list of frames to train on; default all'
    )
    parser.add_argument(
        '--no-image-check', action='store_true', help='do not look for the images'
    )
    parser.add_argument(
        '--ignore-other-classes',
        action='store_true',
        help='leave out objects of other classes than the 30',
    )
    return parser.parse_args()


def main() -> None:
    """Convert and print what was written."""
    args = parse_args()
    writer = convert_vid(
        args.root,
        args.out,
        split=args.split,
        kind=args.kind,
        labelled_frames=args.labelled_frames,
        check_images=not args.no_image_check,
        ignore_other_classes=args.ignore_other_classes,
    )
    print(writer.report())
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
