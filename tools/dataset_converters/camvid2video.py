"""Arrange a folder of CamVid frames as images/SPLIT/VIDEO/FRAME with its labels."""

import argparse

from dff.converters.data import arrange_camvid, parse_frames


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('images', help='folder of VIDEO_FRAME.jpg')
    parser.add_argument('labels', help='folder of index maps VIDEO_FRAME.png')
    parser.add_argument('out', help='data root to write')
    parser.add_argument('--split', default='train')
    for name, what in (('frames', 'frames taken'), ('labelled', 'frames with labels')):
        parser.add_argument(
            f'--{name}',
            type=parse_frames,
            default=(0, None),
            metavar='FIRST-LAST',
            help=f'{what}: positions in the folder, both included; FIRST- to the end',
        )
    return parser.parse_args()


def main() -> None:
    """Copy and print what was copied."""
    args = parse_args()
    num_images, num_maps = arrange_camvid(
        args.images,
        args.labels,
        args.out,
        split=args.split,
        frames=args.frames,
        labelled=args.labelled,
    )
    print(f'{num_images} frames, {num_maps} of them labelled, to {args.out}')


if __name__ == '__main__':
    main()
