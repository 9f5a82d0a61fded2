"""The plots of Fig. 3: accuracy against speed, and speed against l."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dff.files import write_atomically

from .tradeoff_table import Point

PREDICTED = dict(linestyle='--', linewidth=1, alpha=0.7)
MARKERS = 'osD^vP*X'
LABELS = dict(speedup='speed-up over Frame', fps='frames a second')


def save_plots(
    points: Sequence[Point], folder: str | os.PathLike, *, figure: str
) -> list[Path]:
    """Draw what is known, each picture written atomically.

    Args:
        points: Of all rows.
        folder: Gets `accuracy_speedup.png` and `accuracy_fps.png`, where a row has
            its accuracy, and `speed.png`, both speeds against l.
        figure: Name of the accuracy.

    Returns:
        The pictures written.
    """
    drawings = {}
    if any(point.accuracy is not None for point in points):
        for speed in LABELS:
            drawings[f'accuracy_{speed}'] = draw_accuracy(points, speed, figure=figure)
    if points:
        drawings['speed'] = draw_speed(points)
    paths = []
    for name, drawing in drawings.items():
        paths.append(Path(folder) / f'{name}.png')
        with write_atomically(paths[-1]) as temporary:
            drawing.savefig(temporary, dpi=150)
    return paths


def draw_accuracy(points: Sequence[Point], speed: str, *, figure: str) -> Figure:
    """Draw accuracy over a speed; rows without accuracy are left out.

    Args:
        points: Of all rows.
        speed: 'speedup' or 'fps'.
        figure: Name of the accuracy.
    """
    points = [point for point in points if point.accuracy is not None]
    drawing = Figure(figsize=(8, 5), layout='constrained')
    axes = drawing.subplots()
    _draw_rows(
        axes,
        points,
        measured=lambda p: (getattr(p, speed), p.accuracy),
        predicted=lambda p: (getattr(p, f'{speed}_eq5'), p.accuracy),
    )
    for row in dict.fromkeys(point.row for point in points):
        own = [point for point in points if point.row == row]
        for point in (own[0], own[-1]) if len(own) > 1 else own:
            axes.annotate(
                f'l = {point.interval}',
                (getattr(point, speed), point.accuracy),
                xytext=(4, 4),
                textcoords='offset points',
                fontsize=7,
            )
    axes.set_xlabel(LABELS[speed])
    axes.set_ylabel(f'{figure}, mean of the offsets 0 to l - 1')
    _finish(axes)
    return drawing


def draw_speed(points: Sequence[Point]) -> Figure:
    """Draw both speeds over l, side by side."""
    drawing = Figure(figsize=(12, 5), layout='constrained')
    for axes, (speed, label) in zip(
        drawing.subplots(ncols=len(LABELS)), LABELS.items(), strict=True
    ):
        _draw_rows(
            axes,
            points,
            measured=lambda p, speed=speed: (p.interval, getattr(p, speed)),
            predicted=lambda p, speed=speed: (
                p.interval,
                getattr(p, f'{speed}_eq5'),
            ),
        )
        axes.set_xlabel('l, frames from one key frame to the next')
        axes.set_ylabel(label)
        _finish(axes)
    return drawing


Place = Callable[[Point], tuple[float | None, float | None]]


def _draw_rows(
    axes: Axes, points: Sequence[Point], *, measured: Place, predicted: Place
) -> None:
    """Draw each row's measured line, and in its colour what Eq. (5) predicts."""
    for index, row in enumerate(dict.fromkeys(point.row for point in points)):
        own = [point for point in points if point.row == row]
        colour, marker = f'C{index % 10}', MARKERS[index % len(MARKERS)]
        axes.plot(
            *zip(*map(measured, own), strict=True),
            color=colour,
            marker=marker,
            markersize=4,
            label=row,
        )
        expected = [place for place in map(predicted, own) if None not in place]
        if expected:
            axes.plot(*zip(*expected, strict=True), color=colour, **PREDICTED)


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    handles = axes.get_legend_handles_labels()[0]
    handles.append(Line2D([], [], color='grey', label='Eq. (5)', **PREDICTED))
    axes.legend(handles=handles, fontsize=8)
