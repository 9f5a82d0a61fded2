"""Convert the authors' released weights (MXNet ``.params``) into a checkpoint.

What the file holds is told by its names: the whole network, R-FCN alone, or what the
release starts training from: an ImageNet ResNet or FlowNet, whose results fit
``init_cfg=dict(type='Pretrained', checkpoint=...)`` of backbone and flow network.
"""

import argparse
import sys
from pathlib import Path

import dff  # noqa: F401  (registers the models)
from dff.converters.weights.mxnet_release import convert_file
from dff.datasets.vid_annotations import WNID_TO_CLASS

CONFIG = Path(__file__).resolve().parents[2] / 'configs/vid/dff_rfcn_r101_vid.py'


def main() -> None:
    """Read the command line, convert, and say what was written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('params', help='.params file of MXNet, of 2017 or later')
    parser.add_argument('out', help='checkpoint to write')
    parser.add_argument(
        '--config', default=str(CONFIG), help='of the model; default: %(default)s'
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
