"""What the quick start shows of its models: video, flow picture, curves, table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from terminaltables import AsciiTable

from ..apis import VideoInferencer, open_frames
from ..visualization import (
    VideoVisualizer,
    VideoWriter,
    draw_caption,
    flow_at_image_size,
    flow_to_color,
)
from .atomic import write_atomically, write_json
from .benchmark import count_model, summarise, time_model
from .offset_curves import Curve, plot_curves, read_curve

FIGURE = 'vid/AP50'
ZOOM = 3  # the synthetic frames are too small for captions
DEMO_FPS = 10
SCORE_THR = 0.4


@dataclass(frozen=True)
class ModelFiles:
    """A trained model: its config and checkpoint, run at an interval."""

    config: str
    checkpoint: str
    interval: int

    def load(self) -> VideoInferencer:
        """Build it."""
        return VideoInferencer(self.config, self.checkpoint, interval=self.interval)


def save_demo(model: ModelFiles, videos: Sequence[Path], out: Path) -> None:
    """Write the videos, folders of frames, one after the other with their boxes."""
    inferencer = model.load()
    visualizer = VideoVisualizer(inferencer.dataset_meta, score_thr=SCORE_THR)
    with VideoWriter(out, fps=DEMO_FPS) as writer:
        for video in videos:
            for image, sample in inferencer.with_images(video):
                sample.pred_instances.bboxes *= ZOOM
                seconds = sample.inference_seconds
                writer.write(visualizer.draw(_enlarge(image), sample, seconds=seconds))


def save_flow_picture(models: Mapping[str, ModelFiles], video: Path, out: Path) -> None:
    """Draw key, cur, flow and the key frame warped by it, one row a model.

    The frames are the first of the video and the last that is propagated from it;
    the colours are Middlebury's, their full strength the longest motion of all.
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


def read_curves(files: Mapping[str, Path], *, copied: str) -> dict[str, Curve]:
    """Read AP50 by offset, with Frame's in front.

    Frame on the same frames is what the model that copies features gives at offset
    0: its weights are Frame's, and there every frame is a key frame.

    Args:
        files: Of `PerOffsetMetric`, by label.
        copied: Label of that model.
    """
    curves = {label: read_curve(path, FIGURE)[1] for label, path in files.items()}
    frame = curves[copied][0]
    return {'Frame': {offset: frame for offset in curves[copied]}, **curves}


def save_curves(curves: Mapping[str, Curve], out: Path) -> None:
    """Plot AP50 by offset."""
    with write_atomically(out) as temporary:
        plot_curves(curves, ylabel='AP50').savefig(temporary, dpi=150)


def time_models(
    models: Mapping[str, ModelFiles], video: Path, *, repeats: int
) -> dict[str, dict[str, Any]]:
    """Time each model against the Frame model inside it, on one interval of a video.

    Returns:
        What `benchmark.summarise` gives, by label.
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


def make_table(
    streams: Mapping[str, float],
    curves: Mapping[str, Curve],
    speeds: Mapping[str, Mapping[str, Any]],
) -> list[list[str]]:
    """Lay out accuracy and speed, a column a model, Frame first.

    Args:
        streams: AP50 of each model with key frames at the fixed interval.
        curves: AP50 by offset.
        speeds: Of `time_models`; Frame is in each of them.
    """
    labels, first = list(curves), next(iter(speeds.values()))
    interval, last = first['interval'], max(curves['Frame'])
    frame_ms = first['milliseconds']['frame']

    def row(title: str, frame: float, place: Any, form: str) -> list[str]:
        values = {'Frame': frame, **{name: place(s) for name, s in speeds.items()}}
        return [title, *(form.format(values[label]) for label in labels)]

    def accuracy(title: str, values: Mapping[str, float]) -> list[str]:
        return [title, *(f'{values[label]:.3f}' for label in labels)]

    means = {label: sum(c.values()) / len(c) for label, c in curves.items()}
    ends = {label: curve[last] for label, curve in curves.items()}
    return [
        ['', *labels],
        accuracy(f'AP50, stream, l = {interval}', streams),
        accuracy(f'AP50, mean of offsets 0-{last}', means),
        accuracy(f'AP50, offset {last}', ends),
        row('ms a key frame', frame_ms, lambda s: s['milliseconds']['key'], '{:.1f}'),
        row(
            'ms another frame',
            frame_ms,
            lambda s: s['milliseconds']['propagated'],
            '{:.1f}',
        ),
        row('speed-up', 1, lambda s: s['speedup']['measured'], '{:.2f}'),
        row(
            'predicted by Eq. (5), measured parts',
            1,
            lambda s: s['speedup']['eq5_measured_parts'],
            '{:.2f}',
        ),
        row(
            'predicted by Eq. (5), multiply-adds',
            1,
            lambda s: s['speedup']['eq5_macs'] if s['macs']['flow'] else float('nan'),
            '{:.2f}',
        ),
    ]


def save_table(rows: Sequence[Sequence[str]], out: Path, *, details: dict) -> str:
    """Write the table as Markdown, and with all details as JSON beside it.

    Returns:
        The table to print.
    """
    rows = [[cell.replace('nan', '-') for cell in row] for row in rows]
    lines = ['| ' + ' | '.join(row) + ' |' for row in rows]
    lines.insert(1, '| --- ' * len(rows[0]) + '|')
    with write_atomically(out) as temporary:
        temporary.write_text('\n'.join(lines) + '\n')
    write_json(dict(table=rows, **details), out.with_suffix('.json'))
    return AsciiTable(rows).table
