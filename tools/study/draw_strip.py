"""Draw results on a key frame and the frames after it (paper Fig. 4, 5).

Example:
    python tools/study/draw_strip.py VIDEO CONFIG CHECKPOINT --out strip.jpg
"""

import argparse

import dff  # noqa: F401  (registers the models)
from dff_study.figures.draw_strip import save_strip


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('video', help='video file, folder of images, or glob pattern')
    parser.add_argument('config', help='config of a DFF model')
    parser.add_argument('checkpoint')
    parser.add_argument('--out', required=True, help='.png or .jpg')
    parser.add_argument(
        '--key', type=int, default=0, help='number of the key frame, from 0'
    )
    parser.add_argument(
        '--length', type=int, default=6, help='number of frames (default: 6)'
    )
    parser.add_argument(
        '--step', type=int, default=1, help='distance between frames (default: 1)'
    )
    parser.add_argument(
        '--label', default='DFF', help='name of the row of results (default: DFF)'
    )
    parser.add_argument('--frame-config', help='adds a row of this image model')
    parser.add_argument('--frame-checkpoint')
    parser.add_argument(
        '--with-images', action='store_true', help='add a row of plain frames'
    )
    parser.add_argument(
        '--crop',
        type=int,
        nargs=4,
        metavar=('X', 'Y', 'WIDTH', 'HEIGHT'),
        help='part of the frames to show, in pixels',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='lowest score of boxes (default: 0.3)',
    )
    parser.add_argument(
        '--opacity',
        type=float,
        default=0.5,
        help='opacity of labels, 0 to 1 (default: 0.5)',
    )
    parser.add_argument(
        '--panel-width', type=int, default=320, help='in pixels (default: 320)'
    )
    parser.add_argument('--device', default='cpu', help='default: cpu')
    parsed = parser.parse_args(args)
    if (parsed.frame_config is None) != (parsed.frame_checkpoint is None):
        parser.error('--frame-config needs --frame-checkpoint, and the other way round')
    return parsed


def main(args: argparse.Namespace) -> None:
    """Draw the picture, and print its figures and path."""
    options = vars(args).copy()
    files = [(options.pop('config'), options.pop('checkpoint'))]
    files.append((options.pop('frame_config'), options.pop('frame_checkpoint')))
    frame_model = files[1] if args.frame_config else None
    print(save_strip(model=files[0], frame_model=frame_model, **options))
    print(f'picture: {args.out}')


if __name__ == '__main__':
    main(parse_args())
