"""Draw propagated feature channels beside the true ones (paper Fig. 1).

Example:
    python tools/study/draw_features.py VIDEO CONFIG CHECKPOINT --out features.png
"""

import argparse

import dff  # noqa: F401  (registers the models)
from dff_study.figures.draw_features import save_features, tabulate


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('video', help='video file, folder of images, or glob pattern')
    parser.add_argument('config', help='config of a DFF model')
    parser.add_argument('checkpoint')
    parser.add_argument(
        '--out', required=True, help='.png or .jpg; a .json beside it gets the figures'
    )
    parser.add_argument(
        '--key', type=int, default=0, help='number of the key frame, from 0'
    )
    parser.add_argument(
        '--offsets',
        type=int,
        nargs='+',
        default=[1, 3, 5, 9],
        help='distances i - k of the current frames, from 1',
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--channels', type=int, nargs='+', help='channels to draw')
    which.add_argument(
        '--num-channels',
        type=int,
        default=3,
        help='number of channels to choose: of the quarter that changes most, those '
        'whose propagated maps correlate best with the true ones (default: 3)',
    )
    parser.add_argument(
        '--level', type=int, default=0, help='index of the feature level (default: 0)'
    )
    parser.add_argument(
        '--panel-width', type=int, default=240, help='in pixels (default: 240)'
    )
    parser.add_argument('--device', default='cpu', help='default: cpu')
    return parser.parse_args(args)


def main(args: argparse.Namespace) -> None:
    """Draw the picture, and print its figures and path."""
    figures = save_features(**vars(args))
    print(f'channels {figures["channels"]}: {figures["chosen_by"]}')
    print(tabulate(figures))
    print(f'picture: {args.out}')


if __name__ == '__main__':
    main(parse_args())
