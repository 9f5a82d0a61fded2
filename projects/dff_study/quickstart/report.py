"""Results of the quick start: videos, a picture of the flow, curves and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.structures import BaseDataElement, PixelData

from dff.apis import VideoInferencer, open_frames
from dff.cost.benchmark import count_model, time_model
from dff.cost.benchmark_report import summarise
from dff.files import write_atomically, write_json
from dff.visualization import (
    VideoVisualizer,
    VideoWriter,
    draw_caption,
    flow_at_image_size,
    flow_to_color,
)
from dff.visualization.offset_curves import Curve, plot_panels, read_curve
from dff_study.reports.tables import rows_to_markdown

ZOOM = 3  # the synthetic frames are too small for captions
DEMO_FPS = 10
SCORE_THR = 0.4


@dataclass(frozen=True)
class ModelFiles:
    """Config and checkpoint of a trained model, and its key frame interval."""

    config: str
    checkpoint: str
    interval: int

    def load(self) -> VideoInferencer:
        """Build the model."""
        return VideoInferencer(self.config, self.checkpoint, interval=self.interval)


def save_demo(model: ModelFiles, videos: Sequence[Path], out: Path) -> None:
    """Write one video of the results on several videos (folders of frames)."""
    inferencer = model.load()
    visualizer = VideoVisualizer(inferencer.dataset_meta, score_thr=SCORE_THR)
    with VideoWriter(out, fps=DEMO_FPS) as writer:
        for video in videos:
            for image, sample in inferencer.with_images(video):
                _enlarge_results(sample)
                seconds = sample.inference_seconds
                writer.write(visualizer.draw(_enlarge(image), sample, seconds=seconds))


def _enlarge_results(sample: BaseDataElement) -> None:
    if 'pred_sem_seg' not in sample:
        sample.pred_instances.bboxes *= ZOOM
        return
    labels = sample.pred_sem_seg.data  # (1, H, W)
    for axis in (1, 2):
        labels = labels.repeat_interleave(ZOOM, dim=axis)
    sample.pred_sem_seg = PixelData(data=labels)


def save_flow_picture(models: Mapping[str, ModelFiles], video: Path, out: Path) -> None:
    """Draw a row per model: key, cur, flow and the key frame warped with it.

    The frames are the first of the video and the last that is propagated from it. The
    colours are those of Middlebury; the longest motion of all rows has full strength.
    """
    views = {label: _view_flow(files, video) for label, files in models.items()}
    longest = max(np.linalg.norm(view.flow, axis=2).max() for view in views.values())
    rows = []
    for label, view in views.items():
        panels = {
            'key frame k': view.key,
            f'frame i = k + {view.offset}': view.cur,
            f'flow i to k: {label}': flow_to_color(view.flow, max_norm=longest),
            'key frame warped to i': warp_image(view.key, view.flow),
        }
        rows.append([draw_caption(_enlarge(p), t) for t, p in panels.items()])
    picture = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    with write_atomically(out) as temporary:
        if not cv2.imwrite(str(temporary), picture, [cv2.IMWRITE_JPEG_QUALITY, 85]):
            raise OSError(f'{out} cannot be written')


class _FlowView(NamedTuple):
    """Images key and cur (H, W, 3), the flow between them (H, W, 2), i - k."""

    key: np.ndarray
    cur: np.ndarray
    flow: np.ndarray
    offset: int


def _view_flow(files: ModelFiles, video: Path) -> _FlowView:
    inferencer = files.load()
    results = inferencer.with_images(video)
    (key, _), *_, (cur, sample) = islice(results, files.interval)
    flow = flow_at_image_size(
        inferencer.flow,
        inferencer.flow_stride,
        img_shape=sample.img_shape,
        ori_shape=sample.ori_shape,
    )
    return _FlowView(key, cur, flow, sample.offset)


def warp_image(key: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Read an image (H, W, 3) where a flow (H, W, 2) points; black outside."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    where = [(grid + flow[..., i]).astype(np.float32) for i, grid in enumerate((x, y))]
    return cv2.remap(key, *where, cv2.INTER_LINEAR, borderValue=(0, 0, 0))


def _enlarge(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)


def read_curves(
    files: Mapping[str, Path], *, copied: str, figure: str, unit: float = 1.0
) -> dict[str, Curve]:
    """Read a figure by offset, for Frame and other models.

    Frame is offset 0 of the model that copies features: it has the weights of Frame,
    and at offset 0 each frame is a key frame.

    Args:
        files: Of `PerOffsetMetric`, by label.
        copied: Label of the model that copies features.
        figure: Name of the figure.
        unit: Factor of the figure.
    """
    curves = {
        label: {o: unit * value for o, value in read_curve(path, figure)[1].items()}
        for label, path in files.items()
    }
    frame = curves[copied][0]
    return {'Frame': {offset: frame for offset in curves[copied]}, **curves}


def save_curves(curves: Mapping[str, Mapping[str, Curve]], out: Path) -> None:
    """Plot figures by offset, with a panel per figure."""
    with write_atomically(out) as temporary:
        plot_panels(curves).savefig(temporary, dpi=150)


def time_models(
    models: Mapping[str, ModelFiles], video: Path, *, repeats: int
) -> dict[str, dict[str, Any]]:
    """Time each model against the Frame model inside it, on one interval of a video.

    Returns:
        Results of `summarise`, by label.
    """
    summaries = {}
    for label, files in models.items():
        frames = [
            torch.from_numpy(frame.image).permute(2, 0, 1).contiguous()
            for frame in islice(open_frames(video), files.interval)
        ]
        model = files.load().model
        macs = count_model(model, frames[0])
        timings = time_model(model, frames, repeats=repeats)
        summaries[label] = summarise(timings, macs, files.interval)
        print('    timed: ' + label, flush=True)
    return summaries


@dataclass(frozen=True)
class TaskResults:
    """Results of the models of one task by label, Frame first.

    Attributes:
        label: Name of the accuracy.
        streams: Accuracy with key frames at the fixed interval.
        offsets: Accuracy by offset.
        speeds: From `time_models`; each includes Frame.
    """

    label: str
    streams: Mapping[str, float]
    offsets: Mapping[str, Curve]
    speeds: Mapping[str, Mapping[str, Any]]


def make_table(results: Mapping[str, TaskResults]) -> list[list[str]]:
    """Return accuracy and speed of the tasks as rows, with a column per model."""
    labels = list(next(iter(results.values())).offsets)
    rows = [['', *labels]]
    for title, found in results.items():
        rows += [[title, *([''] * len(labels))], *_task_rows(found, labels)]
    return rows


def _task_rows(found: TaskResults, labels: Sequence[str]) -> list[list[str]]:
    speeds, curves = found.speeds, found.offsets
    first = next(iter(speeds.values()))
    interval, last = first['interval'], max(curves['Frame'])

    def row(title: str, frame: float, place: Any, form: str = '{:.2f}') -> list[str]:
        values = {'Frame': frame, **{name: place(s) for name, s in speeds.items()}}
        return [title, *(form.format(values[label]) for label in labels)]

    def accuracy(title: str, values: Mapping[str, float]) -> list[str]:
        cells = (f'{values[label]:.3f}' for label in labels)
        return [f'{found.label}, {title}', *cells]

    def milliseconds(title: str, part: str) -> list[str]:
        frame = first['milliseconds']['frame']
        return row(title, frame, lambda s: s['milliseconds'][part], '{:.1f}')

    def macs(speed: Mapping[str, Any]) -> float:
        return speed['speedup']['eq5_macs'] if speed['macs']['flow'] else float('nan')

    means = {label: sum(c.values()) / len(c) for label, c in curves.items()}
    ends = {label: curve[last] for label, curve in curves.items()}
    parts = 'eq5_measured_parts'
    return [
        accuracy(f'stream, l = {interval}', found.streams),
        accuracy(f'mean of offsets 0-{last}', means),
        accuracy(f'offset {last}', ends),
        milliseconds('ms a key frame', 'key'),
        milliseconds('ms another frame', 'propagated'),
        row('speed-up', 1, lambda s: s['speedup']['measured']),
        row('predicted by Eq. (5), measured parts', 1, lambda s: s['speedup'][parts]),
        row('predicted by Eq. (5), multiply-adds', 1, macs),
    ]


def save_table(rows: Sequence[Sequence[str]], out: Path, *, details: dict) -> None:
    """Write the table as Markdown, and the table with all details as JSON."""
    rows = [[cell.replace('nan', '-') for cell in row] for row in rows]
    with write_atomically(out) as temporary:
        temporary.write_text(rows_to_markdown(rows[0], rows[1:]) + '\n')
    write_json(dict(table=rows, **details), out.with_suffix('.json'))
