"""Print the cuts of videos, and with --joins how well cuts are found.

Example:
    python tools/analysis/detect_cuts.py film.mp4
    python tools/analysis/detect_cuts.py a.mp4 b.mp4 frames/ --joins 3
"""

import argparse
from collections.abc import Iterator
from statistics import median

import cv2
import numpy as np

from dff.apis.dff_model import parse_size
from dff.checks.cuts import CutRates, find_cuts, measure_cuts
from dff.models import CutDetector
from dff.video import open_frames


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('videos', nargs='+', help='videos, or folders of images')
    parser.add_argument(
        '--joins',
        type=int,
        metavar='N',
        help='measure instead, on videos without cuts: N joins of each two of them at '
        'each phase of the interval, and false key frames',
    )
    parser.add_argument(
        '--interval', type=int, default=10, help='key frame interval l (default: 10)'
    )
    parser.add_argument(
        '--size',
        type=parse_size,
        default=(480, 640),
        help='size to bring all frames to, HxW (default: 480x640)',
    )
    parser.add_argument('--threshold', type=float, help="instead of CutDetector's")
    parser.add_argument('--key-threshold', type=float, help="instead of CutDetector's")
    parser.add_argument('--seed', type=int, default=0, help='of the joins (default: 0)')
    return parser.parse_args()


def read(path: str, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield the frames of a source, resized to `size` (H, W)."""
    for frame in open_frames(path):
        yield cv2.resize(frame.image, size[::-1], interpolation=cv2.INTER_AREA)


def format_rates(rates: CutRates) -> str:
    """Return the rates as text."""
    joins, found = sum(rates.joins.values()), sum(rates.found.values())
    false, frames = len(rates.false_keys), rates.uncut_frames
    lines = [
        f'hard cuts found on their first frame: {found} of {joins} '
        f'({100 * found / joins:.2f} %)',
        'by phase: '
        + ', '.join(f'{p}: {rates.found[p]} of {n}' for p, n in rates.joins.items()),
        f'false key frames on uncut videos: {false} in {frames} frames '
        f'({1000 * false / frames:.2f} per 1,000) {sorted(set(rates.false_keys))}',
    ]
    for name, firsts in rates.effects.items():
        hits = [first for first in firsts if first is not None]
        line = f'{name}: key frame in {len(hits)} of {len(firsts)}'
        lines.append(line + (f', first at frame {median(hits):g}' if hits else ''))
    lines.append(f'detector beside the flow: {rates.milliseconds:.2f} ms per frame')
    return '\n'.join(lines)


def main() -> None:
    """Find the cuts, or measure how well they are found."""
    args = parse_args()
    given = dict(threshold=args.threshold, key_threshold=args.key_threshold)
    detector = CutDetector(**{k: v for k, v in given.items() if v is not None})
    if args.joins is not None:
        videos = {path: list(read(path, args.size)) for path in args.videos}
        rates = measure_cuts(
            videos,
            detector=detector,
            interval=args.interval,
            repeats=args.joins,
            seed=args.seed,
        )
        print(format_rates(rates))
        return
    for path in args.videos:
        cuts = find_cuts(
            read(path, args.size), detector=detector, interval=args.interval
        )
        print(f'{path}: {len(cuts)} cuts at frames {cuts}')


if __name__ == '__main__':
    main()
