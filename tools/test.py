"""Test a model."""

import argparse

import dff  # noqa: F401  configs may say _base_ = 'dff::…'
from dff.engine import launch, testing
from dff.engine.protocol import evaluate_by_offset, read_offsets


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint', help="checkpoint file, or 'none' for a model without weights"
    )
    parser.add_argument('--out', help='.pkl file for the predictions')
    parser.add_argument(
        '--show-dir', help='folder for images of the predictions, VIDEO/FRAME'
    )
    parser.add_argument(
        '--show', action='store_true', help='show the predictions in a window'
    )
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        help='seconds to show each frame (default: 2)',
    )
    parser.add_argument(
        '--offsets',
        type=read_offsets,
        help='test each labelled frame at these distances from the key frame, not as a '
        'stream (paper Sec. 5.2): 5 means 0 to 4; or 0-9, or 0,2,4',
    )
    parser.add_argument('--offsets-out', help='JSON file for the results by offset')
    parser.add_argument(
        '--clamp-offsets',
        action='store_true',
        help='include frames with too few predecessors, with the first frame as key',
    )
    launch.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Test the model."""
    args = parse_args()
    cfg = launch.load_config(args)
    testing.set_checkpoint(cfg, args.checkpoint)
    if args.show or args.show_dir:
        testing.draw_frames(
            cfg, args.show_dir, show=args.show, wait_time=args.wait_time
        )
    if args.offsets:
        evaluate_by_offset(
            cfg, args.offsets, out_file=args.offsets_out, clamp=args.clamp_offsets
        )
    launch.run(lambda: testing.build_runner(cfg, out=args.out).test())


if __name__ == '__main__':
    main()
