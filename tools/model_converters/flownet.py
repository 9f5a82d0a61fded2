"""Convert a public FlowNetS checkpoint (PyTorch or Caffe) into weights of FlowNetS.

Load the result with `init_cfg=dict(type='Pretrained', checkpoint=OUT)` of the flow
network, instead of training it on Flying Chairs. Sources: flownet_pytorch
(ClementPinard's flownets_*.pth.tar), flownet2_pytorch (NVIDIA's FlowNet2-S), mmflow
(flownets_*.pth) and caffe (Freiburg's FlowNetS .caffemodel).

Example:
    python tools/model_converters/flownet.py flownets_EPE1.951.pth.tar \
        data/weights/flownets_chairs.pth
"""

import argparse
import sys

from dff.checkpoint.weights_file import write_weights
from dff.converters.weights.flownet_sources import SOURCES, read_flownet
from dff.converters.weights.flownet_weights import adapt_weights


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='.pth, .pth.tar or .caffemodel')
    parser.add_argument('out', help='.pth file to write')
    parser.add_argument(
        '--source',
        choices=list(SOURCES),
        help='origin of the file (default: recognised by its contents)',
    )
    parser.add_argument(
        '--channel-order',
        choices=['rgb', 'bgr'],
        help="channel order of the network's input (default: that of the source)",
    )
    parser.add_argument(
        '--mean',
        nargs=3,
        type=float,
        metavar=('R', 'G', 'B'),
        help="mean that the network's input subtracts, 0 to 1 (default: that of the "
        'source)',
    )
    parser.add_argument(
        '--flow-divisor',
        type=float,
        help="flow in pixels divided by the network's output (default: the file's, "
        'else 20)',
    )
    return parser.parse_args()


def main() -> None:
    """Convert the weights and print the assumptions."""
    args = parse_args()
    try:
        weights = read_flownet(
            args.checkpoint,
            source=args.source,
            channel_order=args.channel_order,
            mean=args.mean,
            flow_divisor=args.flow_divisor,
        )
        state, width = adapt_weights(weights)
        write_weights(state, args.out, source=weights.source, width=width)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    means = 'of each pair (not convertible)' if weights.means is None else weights.means
    print(f'{len(state)} arrays of FlowNetS(width={width:g}) -> {args.out}')
    print(
        f'source {weights.source}: {weights.channel_order}, means {means}, flow / '
        f'{weights.flow_divisor:g}'
    )


if __name__ == '__main__':
    main()
