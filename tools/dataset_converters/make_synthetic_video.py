"""Make a small CocoVID set of videos of textured moving shapes."""

import argparse

from dff.converters.data import write_synthetic_set


def parse_size(text: str) -> tuple[int, int]:
    """Parse `WxH`."""
    width, cross, height = text.partition('x')
    if not cross or not width.isdigit() or not height.isdigit():
        raise argparse.ArgumentTypeError(f'expected WxH, got {text!r}')
    return int(width), int(height)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', help='data root to write to')
    parser.add_argument(
        '--name', default='train', help='name of OUT/annotations/NAME.json'
    )
    parser.add_argument(
        '--videos', type=int, default=12, help='number of videos (default: 12)'
    )
    parser.add_argument(
        '--frames', type=int, default=60, help='frames per video (default: 60)'
    )
    parser.add_argument(
        '--size',
        type=parse_size,
        default=(320, 240),
        metavar='WxH',
        help='size of the frames (default: 320x240)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the videos (default: 0)'
    )
    parser.add_argument(
        '--label-every', type=int, default=1, help='label only every n-th frame'
    )
    parser.add_argument(
        '--speed',
        type=float,
        default=1.0,
        help='speed of the motion; 0.5 is like twice the frame rate (default: 1)',
    )
    return parser.parse_args()


def main() -> None:
    """Write the set and print a summary."""
    args = parse_args()
    writer = write_synthetic_set(
        args.out,
        name=args.name,
        num_videos=args.videos,
        num_frames=args.frames,
        size=args.size,
        seed=args.seed,
        label_every=args.label_every,
        speed=args.speed,
    )
    print(writer.report())
    print(f'wrote {args.out}/annotations/{args.name}.json')


if __name__ == '__main__':
    main()
