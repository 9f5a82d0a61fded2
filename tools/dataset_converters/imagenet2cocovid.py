"""Convert ImageNet VID and DET to the three json files that configs/vid read.

vid_train.json, det_train.json and vid_val.json are written to ROOT/annotations. The
lists of the authors' release (data/ILSVRC2015/ImageSets there) belong in
ROOT/ImageSets: VID_train_15frames.txt, DET_train_30classes.txt and, if it is to be
checked that validation is complete, VID_val_videos.txt.
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
    parser.add_argument('root', help='folder that holds Data and Annotations')
    parser.add_argument('--out', help='folder of the json files (ROOT/annotations)')
    parser.add_argument('--lists', help='folder of the lists (ROOT/ImageSets)')
    parser.add_argument(
        '--without-lists',
        action='store_true',
        help=f'instead, {FRAMES_PER_VIDEO} frames of each video, chosen by the rule of '
        'the list, and every training image of DET that holds one of the 30 classes',
    )
    parser.add_argument(
        '--no-image-check', action='store_true', help='do not look for the images'
    )
    return parser.parse_args()


def convert(args: argparse.Namespace, out: Path) -> dict[str, CocoVIDWriter]:
    """Write the files to `out`; return what was collected for each name.

    Raises:
        FileNotFoundError: A list is not there.
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
                    '(--without-lists does without)'
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
    """Convert and print what was written."""
    args = parse_args()
    out = Path(args.out or Path(args.root, 'annotations'))
    for name, writer in convert(args, out).items():
        labelled = sum(image.get('is_labelled', True) for image in writer.images)
        print(f'{out / name}.json: {writer.report()}')
        print(f'{labelled} of the images are labelled')


if __name__ == '__main__':
    main()
