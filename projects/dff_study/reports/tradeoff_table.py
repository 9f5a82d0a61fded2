"""Speed and accuracy at each l, from measured frames and figures by offset (Fig. 3).

A table of points has a line for each row of a plan and l, with the columns:

- `row`, `interval`: name of the row, and l.
- `accuracy`, `accuracy_spread`, `runs`: mean over the offsets 0 to l - 1 and over runs
  (seeds), half the range over runs, and their number; nan and 0 if unknown.
- `ms`, `fps`: milliseconds per frame, (t_key + (l - 1) t_other) / l, and frames per
  second.
- `speedup`, `speedup_min`, `speedup_max`: over Frame of the reference row; the smallest
  and largest of all rounds, each over its own Frame.
- `speedup_own`: over Frame of the row itself.
- `speedup_eq5`, `fps_eq5`: prediction of Eq. (7) with r of Eq. (5) in multiply-adds;
  nan if those of F cannot be counted.
"""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import pandas as pd

from dff.cost.complexity import Complexity, predicted_speedup
from dff.visualization.offset_curves import Curve

from .tables import NOTHING, half_range, rows_to_markdown

Accuracy = dict[int, tuple[float, float, int]]  # by l: mean, half the range, runs
COLUMNS = ('row', 'interval', 'accuracy', 'accuracy_spread', 'runs', 'ms', 'fps')
COLUMNS += ('speedup', 'speedup_min', 'speedup_max', 'speedup_own')
COLUMNS += ('speedup_eq5', 'fps_eq5')
PARTS = {
    'frame': 'Frame',
    'key': 'key',
    'propagated': 'other',
    'n_feat': 'N_feat',
    'flow': 'F + S',
    'warp': 'W',
    'n_task': 'N_task',
}


def time_of_frame(key: float, other: float, interval: int) -> float:
    """Return the mean time per frame if one of `interval` is a key frame."""
    return (key + (interval - 1) * other) / interval


def average_over_offsets(curves: Sequence[Curve], intervals: Sequence[int]) -> Accuracy:
    """Return the mean over the offsets 0 to l - 1 (paper Sec. 5.2) for each l.

    One test at the largest l serves all: it leaves out labelled frames that lack any
    of its key frames, so each l averages over the same frames.

    Args:
        curves: Figure by offset, one curve per run.
        intervals: All l.

    Returns:
        By l: mean and half the range over runs, and the number of runs. An l is left
        out if a run lacks one of its offsets.
    """
    result: Accuracy = {}
    for interval in intervals:
        offsets = range(interval)
        if not curves or any(o not in curve for curve in curves for o in offsets):
            continue
        means = [sum(curve[o] for o in offsets) / interval for curve in curves]
        mean = sum(means) / len(means)
        result[interval] = (mean, half_range(means), len(means))
    return result


def make_points(
    speeds: Mapping[str, Mapping[str, Any]],
    accuracies: Mapping[str, Accuracy],
    intervals: Sequence[int],
    *,
    reference: str | None = None,
) -> pd.DataFrame:
    """Compute the table of points.

    Args:
        speeds: Results of `measure_speed`, by row.
        accuracies: Results of `average_over_offsets`, by row.
        intervals: All l.
        reference: Row whose Frame is the base of all speed-ups; None uses the Frame
            of each row. Rows are timed one after the other, so the speed of the
            machine may change between them.

    Raises:
        ValueError: The reference has not been timed.
    """
    if reference is not None and speeds and reference not in speeds:
        raise ValueError(
            f'the speed-ups are over Frame of {reference!r}, which is not timed; timed '
            f'are {list(speeds)}'
        )
    points = []
    for row, speed in speeds.items():
        for interval in intervals:
            known = accuracies[row].get(interval, (nan, nan, 0))
            names = ('accuracy', 'accuracy_spread', 'runs')
            point = dict(row=row, interval=interval)
            point |= dict(zip(names, known, strict=True))
            point |= _speed_at(speed, speeds[reference or row], interval)
            points.append(point)
    return pd.DataFrame(points, columns=list(COLUMNS))


def _speed_at(speed: Mapping, frame_of: Mapping, interval: int) -> dict[str, float]:
    ms = speed['benchmark']['milliseconds']
    per_frame = time_of_frame(ms['key'], ms['propagated'], interval)
    frame = frame_of['benchmark']['milliseconds']['frame']
    of_reference = frame / ms['frame']
    by_round = [
        of_reference * r['frame'] / time_of_frame(r['key'], r['propagated'], interval)
        for r in speed['rounds']
    ]
    predicted = nan
    if speed['is_flow_counted']:
        macs, macs_of_frame = (
            Complexity(**s['benchmark']['macs']) for s in (speed, frame_of)
        )
        predicted = predicted_speedup(macs.ratio(), interval)
        predicted *= macs_of_frame.frame / macs.frame
    return dict(
        ms=per_frame,
        fps=1e3 / per_frame,
        speedup=frame / per_frame,
        speedup_min=min(by_round),
        speedup_max=max(by_round),
        speedup_own=ms['frame'] / per_frame,
        speedup_eq5=predicted,
        fps_eq5=1e3 / frame * predicted,
    )


def tabulate_points(points: pd.DataFrame, figure: str) -> str:
    """Write a table of points as Markdown; `figure` names the accuracy."""
    with_accuracy = bool(points.accuracy.notna().any())
    head = ['', 'l', *([figure] if with_accuracy else [])]
    head += ['ms', 'fps', 'speed-up', 'rounds', 'Eq. (5)']
    lines = []
    for p in points.itertuples():
        cells = [p.row, str(p.interval)]
        cells += [_accuracy_cell(p)] if with_accuracy else []
        cells += [f'{p.ms:.1f}', f'{p.fps:.2f}', f'{p.speedup:.2f}']
        cells.append(f'{p.speedup_min:.2f} to {p.speedup_max:.2f}')
        cells.append(NOTHING if pd.isna(p.speedup_eq5) else f'{p.speedup_eq5:.2f}')
        lines.append(cells)
    return rows_to_markdown(head, lines)


def _accuracy_cell(point: Any) -> str:
    if pd.isna(point.accuracy):
        return NOTHING
    digits = 1 if point.accuracy > 1 else 3  # IoU is in percent, AP a fraction
    text = f'{point.accuracy:.{digits}f}'
    return text + (f' ± {point.accuracy_spread:.{digits}f}' if point.runs > 1 else '')


def tabulate_parts(speeds: Mapping[str, Mapping[str, Any]]) -> str:
    """Write milliseconds per part, and the measured beside the derived speed-up."""
    head = ['ms', *PARTS.values(), 'whole stream', 'from key and other']
    lines = []
    for row, speed in speeds.items():
        ms, stream = speed['benchmark']['milliseconds'], speed['stream']
        interval = stream['interval']
        follows = ms['frame'] / time_of_frame(ms['key'], ms['propagated'], interval)
        cells = [f'{ms[name]:.1f}' for name in PARTS]
        cells.append(f'{stream["speedup"]:.2f}x (l = {interval})')
        lines.append([row, *cells, f'{follows:.2f}x'])
    return rows_to_markdown(head, lines)
