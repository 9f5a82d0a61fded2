"""Speed and accuracy at each l, from measured frames and figures by offset (Fig. 3)."""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from dff.cost.complexity import Complexity, predicted_speedup
from dff.files import write_atomically
from dff.visualization.offset_curves import Curve

from .tables import NOTHING, half_range, rows_to_markdown

Accuracy = dict[int, tuple[float, float, int]]  # by l: mean, half the range, runs


@dataclass(frozen=True)
class Point:
    """One row of a plan at one l.

    Attributes:
        row: Its name.
        interval: l.
        accuracy: Mean over the offsets 0 to l - 1 and over runs, if known.
        accuracy_spread: Half the range over runs.
        runs: Number of runs (seeds).
        ms: Milliseconds per frame, (t_key + (l - 1) t_other) / l.
        fps: Frames per second.
        speedup: Over Frame, the image model of the reference row.
        speedup_min: Smallest of all rounds, each against its own Frame.
        speedup_max: Likewise.
        speedup_own: Over the image model of the row itself.
        speedup_eq5: Prediction of Eq. (7) with r of Eq. (5) in multiply-adds; None
            where those of F cannot be counted.
        fps_eq5: Likewise, from the measured Frame of the reference.
    """

    row: str
    interval: int
    accuracy: float | None
    accuracy_spread: float | None
    runs: int
    ms: float
    fps: float
    speedup: float
    speedup_min: float
    speedup_max: float
    speedup_own: float
    speedup_eq5: float | None
    fps_eq5: float | None


def time_of_frame(key: float, other: float, interval: int) -> float:
    """Return the mean time of a frame, one of `interval` being a key frame."""
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
) -> list[Point]:
    """Compute the points of all rows and l.

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
    for name, speed in speeds.items():
        frame_of = speeds[reference or name]
        for interval in intervals:
            accuracy, spread, runs = accuracies[name].get(interval, (None, None, 0))
            points.append(
                Point(
                    row=name,
                    interval=interval,
                    accuracy=accuracy,
                    accuracy_spread=spread,
                    runs=runs,
                    **_speed(speed, frame_of, interval),
                )
            )
    return points


def _speed(speed: Mapping, frame_of: Mapping, interval: int) -> dict[str, float | None]:
    ms = speed['benchmark']['milliseconds']
    per_frame = time_of_frame(ms['key'], ms['propagated'], interval)
    frame = frame_of['benchmark']['milliseconds']['frame']
    of_reference = frame / ms['frame']
    by_round = [
        of_reference * r['frame'] / time_of_frame(r['key'], r['propagated'], interval)
        for r in speed['rounds']
    ]
    predicted = None
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
        fps_eq5=None if predicted is None else 1e3 / frame * predicted,
    )


def write_csv(points: Sequence[Point], path: str | os.PathLike) -> None:
    """Write a line for each row and l; unknown cells are empty."""
    with write_atomically(path) as temporary, temporary.open('w', newline='') as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Point)])
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)


def tabulate_points(points: Sequence[Point], figure: str) -> str:
    """Write a Markdown table with a line for each row and l."""
    with_accuracy = any(point.accuracy is not None for point in points)
    head = ['', 'l', *([figure] if with_accuracy else [])]
    head += ['ms', 'fps', 'speed-up', 'rounds', 'Eq. (5)']
    lines = []
    for p in points:
        cells = [p.row, str(p.interval)]
        if with_accuracy:
            cells.append(_accuracy_cell(p))
        cells += [f'{p.ms:.1f}', f'{p.fps:.2f}', f'{p.speedup:.2f}']
        cells.append(f'{p.speedup_min:.2f} to {p.speedup_max:.2f}')
        cells.append(NOTHING if p.speedup_eq5 is None else f'{p.speedup_eq5:.2f}')
        lines.append(cells)
    return rows_to_markdown(head, lines)


def _accuracy_cell(point: Point) -> str:
    if point.accuracy is None:
        return NOTHING
    # IoU is in per cent, AP a fraction
    digits = 1 if point.accuracy > 1 else 3
    text = f'{point.accuracy:.{digits}f}'
    return text + (f' ± {point.accuracy_spread:.{digits}f}' if point.runs > 1 else '')


def tabulate_parts(speeds: Mapping[str, Mapping[str, Any]]) -> str:
    """Write milliseconds per part, and the measured beside the derived speed-up."""
    names = dict(frame='Frame', key='key', propagated='other', n_feat='N_feat')
    names |= dict(flow='F + S', warp='W', n_task='N_task')
    head = ['ms', *names.values(), 'whole stream', 'from key and other']
    lines = []
    for row, speed in speeds.items():
        ms, stream = speed['benchmark']['milliseconds'], speed['stream']
        interval = stream['interval']
        follows = ms['frame'] / time_of_frame(ms['key'], ms['propagated'], interval)
        cells = [f'{ms[name]:.1f}' for name in names]
        cells.append(f'{stream["speedup"]:.2f}x (l = {interval})')
        lines.append([row, *cells, f'{follows:.2f}x'])
    return rows_to_markdown(head, lines)
