"""Write a checkpoint of a Frame model and a pre-trained flow network, as they are."""

import argparse

import dff  # noqa: F401  (registers the models)
from dff.converters.weights.joined import join_checkpoints


def main() -> None:
    """Read the command line, join, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='of the video model; its flow network is built')
    parser.add_argument('frame', help='checkpoint of the image model')
    parser.add_argument('out', help='checkpoint to write')
    args = parser.parse_args()
    count = join_checkpoints(args.config, args.frame, args.out)
    print(f'{count} tensors written to {args.out}')


if __name__ == '__main__':
    main()
