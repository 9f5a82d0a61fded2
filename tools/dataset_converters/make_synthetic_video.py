"""Make a small video set of textured moving shapes, in CocoVID format."""

import argparse

from dff.converters.data import write_synthetic_set


def parse_size(text: str) -> tuple[int, int]:
    """Read `WxH`."""
    width, cross, height = text.partition('x')
    if not cross or not width.isdigit() or not height.isdigit():
        raise argparse.ArgumentTypeError(f'expected WxH, got {text!r}')
    return int(width), int(height)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', help='data root to write')
    parser.add_argument('--name', default='train', help='OUT/annotations/NAME.json')
    parser.add_argument('--videos', type=int, default=12)
    parser.add_argument('--frames', type=int, default=60, help='frames a video')
    parser.add_argument('--size', type=parse_size, default=(320, 240), metavar='WxH')
    parser.add_argument(
        '--seed', type=int, default=0, help='another seed, other videos'
    )
    parser.add_argument(
        '--label-every', type=int, default=1, help='label every n-th frame only'
    )
    parser.add_argument(
        '--speed', type=float, default=1.0, help='0.5: as at twice the frame rate'
    )
    return parser.parse_args()


def main() -> None:
    """Write the set and print what it holds."""
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
