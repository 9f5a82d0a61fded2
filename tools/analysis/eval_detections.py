"""Evaluate a file of detections as ImageNet VID does, without a model.

Examples:
    python tools/analysis/eval_detections.py Annotations/VID detections.txt \
        --images ImageSets/VID/val.txt --motion
    python tools/analysis/eval_detections.py annotations/pets_test.json results.pkl
"""

import argparse
import sys

import dff  # noqa: F401  (registers data sets and metrics)
from dff.checks.eval_detections import evaluate_detections


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'annotations', help='CocoVID json, or folder of XML files of ImageNet VID'
    )
    parser.add_argument(
        'detections',
        help='.txt (image id, class from 1, score, x1 y1 x2 y2), .json (COCO results) '
        'or .pkl (tools/test.py --out)',
    )
    parser.add_argument(
        '--images', help='list of the XML files, one NAME IMAGE_ID per line'
    )
    parser.add_argument(
        '--iou-thrs',
        nargs='+',
        type=float,
        default=[0.5],
        help='IoU thresholds (default: 0.5)',
    )
    parser.add_argument(
        '--no-tolerance',
        action='store_true',
        help='do not lower the IoU threshold for small boxes',
    )
    parser.add_argument(
        '--motion',
        action='store_true',
        help='also evaluate slow, medium and fast objects separately',
    )
    parser.add_argument(
        '--motion-tolerance',
        action='store_true',
        help='lower the IoU threshold for small boxes in the motion split too',
    )
    parser.add_argument('--out', help='JSON file to write')
    return parser.parse_args()


def main() -> None:
    """Evaluate, print and write the results."""
    args = parse_args()
    try:
        report = evaluate_detections(
            args.annotations,
            args.detections,
            images=args.images,
            iou_thrs=args.iou_thrs,
            with_small_box_tolerance=not args.no_tolerance,
            with_motion_split=args.motion or args.motion_tolerance,
            with_motion_tolerance=args.motion_tolerance,
        )
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    print(report)
    if args.out:
        report.write(args.out)
        print(f'results written to {args.out}')


if __name__ == '__main__':
    main()
