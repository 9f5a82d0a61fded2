"""Draw accuracy over the offset from the key frame, from JSON of `PerOffsetMetric`."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tabulate import tabulate

from dff.files import write_atomically

Curve = dict[int, float]


def read_curve(path: str | os.PathLike, figure: str | None = None) -> tuple[str, Curve]:
    """Read one metric value per offset.

    Args:
        path: JSON file of `PerOffsetMetric(out_file=...)`.
        figure: Name of the value, such as 'vid/AP50'; None is the first one.

    Returns:
        The name of the value, and the value at each offset that has one.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a file of `PerOffsetMetric`, or lacks the value.
    """
    figures = read_figures(path)
    names = list(figures)
    figure = names[0] if figure is None and names else figure
    if figure not in names:
        raise ValueError(f'figure must be one of {names} in {path}, got {figure!r}')
    return figure, figures[figure]


def read_figures(path: str | os.PathLike) -> dict[str, Curve]:
    """Read all metric values, by name and offset.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not a file of `PerOffsetMetric`.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'file of PerOffsetMetric {path} does not exist')
    try:
        offsets = json.loads(Path(path).read_text(encoding='utf-8'))['offsets']
        rows = {int(offset): row for offset, row in offsets.items()}
        figures: dict[str, Curve] = {}
        for offset, row in sorted(rows.items()):
            for name, value in row.items():
                curve = figures.setdefault(name, {})
                if value is not None:
                    curve[offset] = value
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f'{path} must be a JSON file of PerOffsetMetric, with `offsets`'
        ) from None
    return figures


def plot_curves(curves: Mapping[str, Curve], *, ylabel: str) -> Figure:
    """Draw curves over the offset i - k in one diagram."""
    return plot_panels({ylabel: curves})


def plot_panels(panels: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Draw one diagram per metric value, by its name, side by side."""
    drawing = Figure(figsize=(6 * len(panels), 4), layout='constrained')
    columns = drawing.subplots(ncols=len(panels), squeeze=False)[0]
    for axes, (ylabel, curves) in zip(columns, panels.items(), strict=True):
        _draw(axes, curves, ylabel)
    return drawing


def _draw(axes: Axes, curves: Mapping[str, Curve], ylabel: str) -> None:
    for label, curve in curves.items():
        axes.plot(list(curve), list(curve.values()), marker='o', label=label)
    offsets = sorted({offset for curve in curves.values() for offset in curve})
    axes.set_xticks(offsets)
    axes.set_xlabel('frames from the key frame, i - k')
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.3)
    axes.legend()


def save_offset_curves(
    paths: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    figure: str | None = None,
    labels: Sequence[str] | None = None,
) -> dict[str, Curve]:
    """Draw the curves of several runs in one diagram, and write it atomically.

    Args:
        paths: JSON files of `PerOffsetMetric`.
        out: Image file to write. Its suffix determines the format.
        figure: Name of the metric value; None is the first one of the first file.
        labels: One label per file; by default the names of the files.

    Returns:
        The curves, by label.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the labels do not fit the files, or a file lacks the value.
    """
    labels = [Path(path).stem for path in paths] if labels is None else list(labels)
    if len(labels) != len(paths) or len(set(labels)) != len(labels):
        raise ValueError(
            f'labels must be {len(paths)} different names, one per file, got {labels}'
        )
    curves = {}
    for label, path in zip(labels, paths, strict=True):
        figure, curves[label] = read_curve(path, figure)
    drawing = plot_curves(curves, ylabel=figure or '')
    with write_atomically(out) as temporary:
        drawing.savefig(temporary, dpi=150)
    return curves


def tabulate_curves(curves: Mapping[str, Curve]) -> str:
    """Write the curves as a Markdown table, with their means.

    The last columns are the means over the first half of the offsets, the second half
    and all of them: at l = 10 over 0-4, 5-9 and 0-9.
    """
    offsets = sorted({offset for curve in curves.values() for offset in curve})
    half = (len(offsets) + 1) // 2
    spans = [span for span in (offsets[:half], offsets[half:], offsets) if span]
    names = [f'mean {span[0]}-{span[-1]}' for span in spans]
    rows = []
    for label, curve in curves.items():
        cells = [f'{curve[o]:.3f}' if o in curve else '-' for o in offsets]
        for span in spans:
            known = [curve[o] for o in span if o in curve]
            whole = len(known) == len(span)
            cells.append(f'{sum(known) / len(span):.3f}' if whole else '-')
        rows.append([label, *cells])
    head = ['', *map(str, offsets), *names]
    return tabulate(rows, head, tablefmt='github', disable_numparse=True)
