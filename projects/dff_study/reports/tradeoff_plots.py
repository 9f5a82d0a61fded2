"""Plots of Fig. 3: accuracy against speed, and speed against l."""

import os
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dff.files import write_atomically

PREDICTED = dict(linestyle='--', linewidth=1, alpha=0.7)
MARKERS = 'osD^vP*X'
LABELS = dict(speedup='speed-up over Frame', fps='frames per second')


def save_plots(
    points: pd.DataFrame, folder: str | os.PathLike, *, figure: str
) -> list[Path]:
    """Draw all plots that the points allow.

    Args:
        points: From `make_points`.
        folder: Gets `accuracy_speedup.png` and `accuracy_fps.png`, if a row has an
            accuracy, and `speed.png`, both speeds against l.
        figure: Name of the accuracy.

    Returns:
        Paths of the pictures.
    """
    drawings = {}
    if points.accuracy.notna().any():
        for speed in LABELS:
            drawings[f'accuracy_{speed}'] = draw_accuracy(points, speed, figure=figure)
    if len(points):
        drawings['speed'] = draw_speed(points)
    paths = []
    for name, drawing in drawings.items():
        paths.append(Path(folder) / f'{name}.png')
        with write_atomically(paths[-1]) as temporary:
            drawing.savefig(temporary, dpi=150)
    return paths


def draw_accuracy(points: pd.DataFrame, speed: str, *, figure: str) -> Figure:
    """Draw accuracy over a speed; rows without accuracy are left out.

    Args:
        points: From `make_points`.
        speed: 'speedup' or 'fps'.
        figure: Name of the accuracy.
    """
    points = points[points.accuracy.notna()]
    drawing = Figure(figsize=(8, 5), layout='constrained')
    axes = drawing.subplots()
    _draw_rows(axes, points, (speed, 'accuracy'), (f'{speed}_eq5', 'accuracy'))
    for _, own in points.groupby('row', sort=False):
        for point in own.iloc[[0, -1]].drop_duplicates().itertuples():
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


def draw_speed(points: pd.DataFrame) -> Figure:
    """Draw both speeds over l, side by side."""
    drawing = Figure(figsize=(12, 5), layout='constrained')
    columns = drawing.subplots(ncols=len(LABELS))
    for axes, (speed, label) in zip(columns, LABELS.items(), strict=True):
        _draw_rows(axes, points, ('interval', speed), ('interval', f'{speed}_eq5'))
        axes.set_xlabel('l, frames from one key frame to the next')
        axes.set_ylabel(label)
        _finish(axes)
    return drawing


def _draw_rows(
    axes: Axes, points: pd.DataFrame, measured: tuple, predicted: tuple
) -> None:
    """Draw a line per row, and the prediction of Eq. (5) in the same colour.

    ``measured`` and ``predicted`` are the columns for x and y.
    """
    for index, (row, own) in enumerate(points.groupby('row', sort=False)):
        colour, marker = f'C{index % 10}', MARKERS[index % len(MARKERS)]
        x, y = measured
        axes.plot(own[x], own[y], color=colour, marker=marker, markersize=4, label=row)
        x, y = predicted
        known = own.dropna(subset=[x, y])
        if len(known):
            axes.plot(known[x], known[y], color=colour, **PREDICTED)


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    handles = axes.get_legend_handles_labels()[0]
    handles.append(Line2D([], [], color='grey', label='Eq. (5)', **PREDICTED))
    axes.legend(handles=handles, fontsize=8)
