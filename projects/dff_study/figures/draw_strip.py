"""Draw strips of results: key frame k, k + 1, k + 2, … (paper Fig. 4 and 5)."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from dff.apis import VideoInferencer
from dff.files import write_atomically
from dff.visualization import VideoVisualizer
from dff.visualization.panels import (
    Panel,
    check_picture_path,
    fit,
    panel_grid,
    write_picture,
)
from dff_study.reports.tables import rows_to_markdown

from .chosen_frames import read_frames

Row = Sequence[tuple[np.ndarray, BaseDataElement]]  # frames and their predictions
ModelFiles = tuple[str | os.PathLike | Config, str | os.PathLike | None]
FRAME = 'Frame'  # the row of the image model


def save_strip(
    video: Any,
    model: ModelFiles,
    *,
    out: str | os.PathLike,
    key: int = 0,
    length: int = 6,
    step: int = 1,
    label: str = 'DFF',
    frame_model: ModelFiles | None = None,
    device: str = 'cpu',
    score_thr: float = 0.3,
    opacity: float = 0.5,
    **layout: Any,
) -> str:
    """Draw the results on a key frame and on the frames after it.

    Args:
        video: See :func:`dff.apis.open_frames`.
        model: Config and checkpoint of a DFF model; its interval is ignored.
        out: Picture to write, `.png` or `.jpg`.
        key: Number k of the key frame, from 0.
        length: Number of frames in the strip.
        step: Distance from one frame to the next.
        label: Name of the row of results.
        frame_model: Config and checkpoint of an image model, for a separate row.
        device: Where the models run.
        score_thr: Lowest score of the boxes to draw.
        opacity: Of label colours, 0 to 1.
        layout: ``with_images``, ``crop`` and ``panel_width`` of ``draw_strip``.

    Returns:
        The figures of the strip as a table; see ``tabulate``.

    Raises:
        ValueError: The video lacks a frame, or a model is of the wrong kind.
    """
    _check(out, length=length, step=step, label=label)
    offsets = range(0, length * step, step)
    images = read_frames(video, range(key, key + offsets[-1] + 1))
    inferencer = VideoInferencer(*model, device=device, interval=len(images))
    if hasattr(inferencer.model, 'cut_detector'):
        inferencer.model.cut_detector = None  # the first frame is the only key frame
    meta = inferencer.dataset_meta
    visualizer = VideoVisualizer(meta, score_thr=score_thr, opacity=opacity)
    rows = {label: list(inferencer.with_images(images))[::step]}
    if frame_model is not None:
        rows = {FRAME: _frame_row(frame_model, images[::step], device), **rows}
    picture = draw_strip(rows, visualizer, key=key, offsets=offsets, **layout)
    with write_atomically(out) as temporary:
        write_picture(picture, temporary)
    return tabulate(rows, offsets, score_thr=score_thr)


def draw_strip(
    rows: Mapping[str, Row],
    visualizer: VideoVisualizer,
    *,
    offsets: Sequence[int],
    key: int = 0,
    with_images: bool = False,
    crop: Sequence[int] | None = None,
    panel_width: int = 320,
) -> np.ndarray:
    """Draw rows of results, with a legend of labels.

    Args:
        rows: Rows by name; the first frame is marked as key, except in Frame's row.
        visualizer: Draws the results.
        offsets: i - k of each column.
        key: Number k of the key frame.
        with_images: Whether to add a row of plain frames on top.
        crop: Part of the frames to show: x, y, width, height in pixels of the frame.
        panel_width: In pixels; the height follows from the part.

    Returns:
        BGR uint8, laid out by :func:`dff.visualization.panels.panel_grid`.

    Raises:
        ValueError: ``crop`` is not inside the frames.
    """
    first = next(iter(rows.values()))
    part = _part(first[0][0], crop)
    height, width = first[0][0][part].shape[:2]
    size = (max(1, round(panel_width * height / width)), panel_width)
    places = [f'key + {offset}' if offset else f'frame {key}' for offset in offsets]
    grid = []
    if with_images:
        pairs = zip((image[part] for image, _ in first), places, strict=True)
        grid.append([Panel(fit(image, size), [place]) for image, place in pairs])
    for name, row in rows.items():
        panels = []
        for result, place, offset in zip(row, places, offsets, strict=True):
            is_key = name != FRAME and offset == 0
            lines = [f'{name}, {place}' + (', KEY' if is_key else '')]
            drawn = fit(visualizer.draw_results(*result)[part], size)
            panels.append(Panel(drawn, lines, is_key=is_key))
        grid.append(panels)
    return visualizer.add_legend(panel_grid(grid), first[0][1])


def _part(image: np.ndarray, crop: Sequence[int] | None) -> tuple[slice, slice]:
    if crop is None:
        return np.s_[:, :]
    x, y, width, height = crop
    if min(x, y) < 0 or min(width, height) < 1:
        raise ValueError(f'crop must be x, y >= 0 and width, height >= 1, got {crop}')
    if y + height > image.shape[0] or x + width > image.shape[1]:
        raise ValueError(
            f'crop {crop} (x, y, width, height) reaches past the frame of '
            f'{image.shape[1]} x {image.shape[0]} pixels'
        )
    return np.s_[y : y + height, x : x + width]


def tabulate(
    rows: Mapping[str, Row], offsets: Sequence[int], *, score_thr: float = 0.3
) -> str:
    """Write a Markdown table with a line per row.

    For boxes: the number above the threshold. For labels: the share of pixels that
    have the label of the first row.
    """
    first = next(iter(rows.values()))
    lines = []
    for name, row in rows.items():
        if 'pred_sem_seg' in first[0][1]:
            pairs = zip(row, first, strict=True)
            what = 'pixels as in the first row'
            cells = [f'{_agreement(a, b):.3f}' for (_, a), (_, b) in pairs]
        else:
            what = f'boxes above {score_thr}'
            scores = (sample.pred_instances.scores for _, sample in row)
            cells = [str(int((score > score_thr).sum())) for score in scores]
        lines.append([f'{name}: {what}', *cells])
    return rows_to_markdown(['', *(f'key + {offset}' for offset in offsets)], lines)


def _agreement(a: BaseDataElement, b: BaseDataElement) -> float:
    same = a.pred_sem_seg.data == b.pred_sem_seg.data
    return float(same.float().mean())


def _check(out: str | os.PathLike, *, length: int, step: int, label: str) -> None:
    check_picture_path(out)
    if length < 1 or step < 1:
        raise ValueError(f'length and step must be at least 1, got {length} and {step}')
    if label == FRAME:
        raise ValueError(f'label must not be {FRAME!r}, the label of the image model')


def _frame_row(files: ModelFiles, images: Sequence[np.ndarray], device: str) -> Row:
    """Run an image model on each frame."""
    inferencer = VideoInferencer(*files, device=device)
    if inferencer.flow_stride is not None:
        raise ValueError(
            'the row of Frame needs the config of an image model, got a '
            f'{type(inferencer.model).__name__}'
        )
    return list(inferencer.with_images(images))
