"""Draw true and estimated flow of test pairs, for configs of `configs/flow`.

Example:
    python tools/study/draw_flow.py --model DIS configs/flow/dis_chairs.py none \
        --model 'FlowNet Half' configs/flow/flownets_half_stills.py CHECKPOINT \
        --out flow.png
"""

import argparse

import dff  # noqa: F401  (registers the models)
from dff_study.figures.draw_flow import FlowModel, save_flow_picture


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--model',
        nargs=3,
        action='append',
        required=True,
        metavar=('LABEL', 'CONFIG', 'CHECKPOINT'),
        help='adds a column; CHECKPOINT is none for flow without weights',
    )
    parser.add_argument('--out', required=True, help='.png or .jpg')
    parser.add_argument(
        '--pairs',
        type=int,
        nargs='+',
        default=[0, 1, 2],
        help='indices of pairs in the test data of the first config (default: 0 1 2)',
    )
    parser.add_argument(
        '--panel-width', type=int, default=256, help='in pixels (default: 256)'
    )
    return parser.parse_args(args)


def main(args: argparse.Namespace) -> None:
    """Draw the picture, and print the errors and its path."""
    models = [
        FlowModel(label, config, None if checkpoint == 'none' else checkpoint)
        for label, config, checkpoint in args.model
    ]
    print(
        save_flow_picture(
            models, out=args.out, pairs=args.pairs, panel_width=args.panel_width
        )
    )
    print(f'picture: {args.out}')


if __name__ == '__main__':
    main(parse_args())
