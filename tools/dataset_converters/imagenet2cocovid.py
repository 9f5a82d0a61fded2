"""Convert ImageNet VID and DET to the three json files that configs/vid reads.

The tool writes vid_train.json, det_train.json and vid_val.json to ROOT/annotations.
First copy the lists of the authors' release (in data/ILSVRC2015/ImageSets there) to
ROOT/ImageSets: VID_train_15frames.txt, DET_train_30classes.txt and, to check that
validation is complete, VID_val_videos.txt.
"""

import argparse
from pathlib import Path

from dff.converters.data import CocoVIDWriter, convert_det, convert_vid

FRAMES_PER_VIDEO = 15  # of the release's list


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', help='folder with Data and Annotations')
    parser.add_argument('--out', help='output folder (default: ROOT/annotations)')
    parser.add_argument('--lists', help='folder of the lists (default: ROOT/ImageSets)')
    parser.add_argument(
        '--without-lists',
        action='store_true',
        help=f'use {FRAMES_PER_VIDEO} frames of each video, chosen by the rule of the '
        'list, and every training image of DET that has one of the 30 classes',
    )
    parser.add_argument(
        '--no-image-check',
        action='store_true',
        help='do not check that the images exist',
    )
    return parser.parse_args()


def convert(args: argparse.Namespace, out: Path) -> dict[str, CocoVIDWriter]:
    """Write the files to `out`; return the writer of each file by name.

    Raises:
        FileNotFoundError: If a list does not exist.
    """
    lists = Path(args.lists or Path(args.root, 'ImageSets'))
    vid, det, val = (
        lists / f'{name}.txt'
        for name in ('VID_train_15frames', 'DET_train_30classes', 'VID_val_videos')
    )
    if args.without_lists:
        subset, images = dict(frames_per_video=FRAMES_PER_VIDEO), None
    else:
        for path in (vid, det):
            if not path.is_file():
                raise FileNotFoundError(
                    f"list {path} does not exist; it is part of the authors' release "
                    '(or use --without-lists)'
                )
        subset, images = dict(labelled_frames=vid), det
    has_val = val.is_file() and not args.without_lists
    shared = dict(check_images=not args.no_image_check)
    return {
        'vid_train': convert_vid(
            args.root, out / 'vid_train.json', split='train', **subset, **shared
        ),
        'det_train': convert_det(
            args.root, out / 'det_train.json', images=images, **shared
        ),
        'vid_val': convert_vid(
            args.root,
            out / 'vid_val.json',
            split='val',
            labelled_frames=val if has_val else None,
            **shared,
        ),
    }


def main() -> None:
    """Convert and print a summary of each file."""
    args = parse_args()
    out = Path(args.out or Path(args.root, 'annotations'))
    for name, writer in convert(args, out).items():
        labelled = sum(image.get('is_labelled', True) for image in writer.images)
        print(f'{out / name}.json: {writer.report()}')
        print(f'{labelled} of the images are labelled')


if __name__ == '__main__':
    main()
