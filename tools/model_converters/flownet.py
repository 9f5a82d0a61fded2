"""Convert a public FlowNetS checkpoint (PyTorch or Caffe) into weights of FlowNetS.

The result fits `init_cfg=dict(type='Pretrained', checkpoint=OUT)` of the flow network,
and replaces its training on Flying Chairs. Known sources: flownet_pytorch
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
    parser.add_argument('--source', choices=list(SOURCES), help='default: told by file')
    parser.add_argument(
        '--channel-order', choices=['rgb', 'bgr'], help='default: that of the source'
    )
    parser.add_argument(
        '--mean',
        nargs=3,
        type=float,
        metavar=('R', 'G', 'B'),
        help='of 0..1, subtracted by the source; default: that of the source',
    )
    parser.add_argument(
        '--flow-divisor',
        type=float,
        help="flow in pixels / the network's output; default: the file's, else 20",
    )
    return parser.parse_args()


def main() -> None:
    """Read, adapt, write, and say what was assumed."""
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
    means = 'of each pair (cannot be kept)' if weights.means is None else weights.means
    print(f'{len(state)} arrays of FlowNetS(width={width:g}) -> {args.out}')
    print(
        f'source {weights.source}: {weights.channel_order}, means {means}, flow / '
        f'{weights.flow_divisor:g}'
    )


if __name__ == '__main__':
    main()
