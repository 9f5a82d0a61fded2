"""Draw feature channels propagated from a key frame beside the true ones (Fig. 1).

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
    parser.add_argument('config', help='of a DFF model')
    parser.add_argument('checkpoint')
    parser.add_argument('--out', required=True, help='.png or .jpg; figures to .json')
    parser.add_argument(
        '--key', type=int, default=0, help='number of the key frame, from 0'
    )
    parser.add_argument(
        '--offsets', type=int, nargs='+', default=[1, 3, 5, 9], help='i - k, from 1'
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--channels', type=int, nargs='+', help='to draw')
    which.add_argument(
        '--num-channels',
        type=int,
        default=3,
        help='draw so many: of the quarter of the channels that change most, those '
        'whose propagated maps correlate best with the true ones (default: 3)',
    )
    parser.add_argument(
        '--level', type=int, default=0, help='of the propagated levels (default: 0)'
    )
    parser.add_argument(
        '--panel-width', type=int, default=240, help='pixels (default: 240)'
    )
    parser.add_argument('--device', default='cpu', help='cpu (default), cuda:0, …')
    return parser.parse_args(args)


def main(args: argparse.Namespace) -> None:
    """Draw, print the figures and where they are."""
    figures = save_features(**vars(args))
    print(f'channels {figures["channels"]}: {figures["chosen_by"]}')
    print(tabulate(figures))
    print(f'picture: {args.out}')


if __name__ == '__main__':
    main(parse_args())
