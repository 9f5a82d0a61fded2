"""Train a model."""

import argparse

import dff  # noqa: F401  configs may say _base_ = 'dff::…'
from dff.engine import launch


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='checkpoint to resume from; without a path, the newest in the work folder',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='train in mixed precision (needs a CUDA device)',
    )
    launch.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Train the model."""
    args = parse_args()
    cfg = launch.load_config(args)
    if args.amp:
        launch.enable_amp(cfg)
    launch.set_start(cfg, args.resume)
    launch.run(lambda: launch.build_runner(cfg).train())


if __name__ == '__main__':
    main()
