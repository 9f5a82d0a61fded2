"""Join the weights of a Frame model and of a pre-trained flow network in one file."""

import argparse

import dff  # noqa: F401  (registers the models)
from dff.converters.weights.joined import join_checkpoints


def main() -> None:
    """Read the command line, join the weights and print how many there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config', help='config of the video model; its init_cfg loads F'
    )
    parser.add_argument('frame', help='checkpoint of the image model')
    parser.add_argument('out', help='checkpoint to write')
    args = parser.parse_args()
    count = join_checkpoints(args.config, args.frame, args.out)
    print(f'{count} tensors written to {args.out}')


if __name__ == '__main__':
    main()
