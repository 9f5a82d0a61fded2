"""Copy CamVid frames to images/SPLIT/VIDEO/FRAME, and their label maps likewise."""

import argparse

from dff.converters.data import arrange_camvid, parse_frames


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('images', help='folder of images VIDEO_FRAME.jpg')
    parser.add_argument('labels', help='folder of index maps VIDEO_FRAME.png')
    parser.add_argument('out', help='data root to write to')
    parser.add_argument('--split', default='train', help='name (default: train)')
    parser.add_argument(
        '--frames',
        type=parse_frames,
        default=(0, None),
        metavar='FIRST-LAST',
        help='frames to copy, by position in the folder from 0, both ends included; '
        'FIRST- means to the end (default: all)',
    )
    parser.add_argument(
        '--labelled',
        type=parse_frames,
        default=(0, None),
        metavar='FIRST-LAST',
        help='frames to copy labels of, in the same form (default: all)',
    )
    return parser.parse_args()


def main() -> None:
    """Copy the frames and print how many."""
    args = parse_args()
    num_images, num_maps = arrange_camvid(
        args.images,
        args.labels,
        args.out,
        split=args.split,
        frames=args.frames,
        labelled=args.labelled,
    )
    print(f'copied {num_images} frames, {num_maps} of them labelled, to {args.out}')


if __name__ == '__main__':
    main()
