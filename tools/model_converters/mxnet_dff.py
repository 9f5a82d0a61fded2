"""Convert the authors' released weights (MXNet ``.params``) into a checkpoint.

The names in the file determine what it contains: the whole network, R-FCN alone, or an
ImageNet ResNet or FlowNet that the release starts training from. Load the latter two
with ``init_cfg=dict(type='Pretrained', checkpoint=...)`` of the backbone or the flow
network.
"""

import argparse
import sys
from pathlib import Path

import dff  # noqa: F401  (registers the models)
from dff.converters.weights.mxnet_convert import convert_file
from dff.datasets.vid_annotations import WNID_TO_CLASS

CONFIG = Path(__file__).resolve().parents[2] / 'configs/vid/dff_rfcn_r101_vid.py'


def main() -> None:
    """Read the command line, convert the file and print a summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('params', help='.params file of MXNet (2017 or later)')
    parser.add_argument('out', help='checkpoint to write')
    parser.add_argument(
        '--config',
        default=str(CONFIG),
        help='config of the model (default: %(default)s)',
    )
    args = parser.parse_args()
    classes = tuple(WNID_TO_CLASS.values())
    try:
        done = convert_file(args.params, args.out, args.config, classes=classes)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'error: {error}')
    print(f'{len(done.state_dict)} tensors of the {done.part} part -> {args.out}')
    for note in done.notes:
        print(f'  {note}')


if __name__ == '__main__':
    main()
