"""Convert the XML annotations of ImageNet VID (or DET) to CocoVID."""

import argparse

from dff.converters.data import convert_det, convert_vid


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', help='folder with Data/VID and Annotations/VID')
    parser.add_argument('out', help='json file to write')
    parser.add_argument('--split', default='val', help='train, val (default) or test')
    parser.add_argument(
        '--kind',
        default='VID',
        choices=['VID', 'DET'],
        help='videos (VID, default) or single images (DET)',
    )
    parser.add_argument(
        '--labelled-frames',
        help='list of frames to label (VID) or images to convert (DET) (default: all)',
    )
    parser.add_argument(
        '--frames-per-video',
        type=int,
        help='label this many evenly spaced frames of each video, instead of a list',
    )
    parser.add_argument(
        '--no-image-check',
        action='store_true',
        help='do not check that the images exist',
    )
    parser.add_argument(
        '--ignore-other-classes',
        action='store_true',
        help='leave out objects of other classes than the 30 of VID (DET: always)',
    )
    args = parser.parse_args()
    if args.kind == 'DET' and args.frames_per_video is not None:
        parser.error('--frames-per-video needs --kind VID, got DET')
    return args


def main() -> None:
    """Convert and print a summary."""
    args = parse_args()
    shared = dict(split=args.split, check_images=not args.no_image_check)
    if args.kind == 'DET':
        writer = convert_det(args.root, args.out, images=args.labelled_frames, **shared)
    else:
        writer = convert_vid(
            args.root,
            args.out,
            labelled_frames=args.labelled_frames,
            frames_per_video=args.frames_per_video,
            ignore_other_classes=args.ignore_other_classes,
            **shared,
        )
    print(writer.report())
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
