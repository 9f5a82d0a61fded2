"""Time the image model against its DFF model in one process, interleaved.

The speed of a machine changes with time and other jobs, so both models run every
round of frames, and the results are medians and ratios within a round.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from dff.models import FixedKeyFrameScheduler

from .complexity import Complexity, measure_complexity

PARTS = ('n_feat', 'flow', 'warp', 'n_task')


@dataclass
class Timings:
    """Seconds of every run, by what was run.

    `frame` is a prediction of the image model, `key` and `propagated` one of the DFF
    model on a stream; the parts of the model run one by one on the same frames.
    `rounds` holds the times of the image model and of the stream on l frames, and
    `key_frames` the numbers of the key frames of the last round.
    """

    frame: list[float] = field(default_factory=list)
    key: list[float] = field(default_factory=list)
    propagated: list[float] = field(default_factory=list)
    n_feat: list[float] = field(default_factory=list)
    flow: list[float] = field(default_factory=list)
    warp: list[float] = field(default_factory=list)
    n_task: list[float] = field(default_factory=list)
    rounds: list[tuple[float, float]] = field(default_factory=list)
    num_predictions: list[int] = field(default_factory=list)
    key_frames: list[int] = field(default_factory=list)

    def medians(self) -> dict[str, float]:
        """Return the median seconds of each timed run."""
        return {name: median(getattr(self, name)) for name in self.names()}

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the timed runs."""
        return ('frame', 'key', 'propagated', *PARTS)


def moving_frames(size: tuple[int, int], count: int) -> list[Tensor]:
    """Create seeded uint8 frames (3, H, W) of a texture moving by (2, 1) pixels.

    Args:
        size: (H, W).
        count: Number of frames.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(
        1, 3, *(max(2, side // 8) for side in size), generator=generator
    )
    image = nn.functional.interpolate(coarse, size, mode='bilinear')[0] * 255
    image = image.to(torch.uint8)  # (3, H, W)
    return [image.roll((step, 2 * step), dims=(1, 2)) for step in range(count)]


def make_data(model: nn.Module, image: Tensor, frame_id: int) -> dict[str, list]:
    """Build the batch of a test loader from one image (3, H, W)."""
    shape = tuple(image.shape[-2:])
    metainfo = dict(
        video_id=0,
        frame_id=frame_id,
        img_id=frame_id,
        img_path=f'{frame_id}.jpg',
        img_shape=shape,
        ori_shape=shape,
        pad_shape=shape,
        scale_factor=(1.0, 1.0),
        flip=False,
        border=(0, 0, 0, 0),  # CenterNet shifts its boxes back by it
    )
    if hasattr(model, 'segmentor'):
        from mmseg.structures import SegDataSample as Sample
    else:
        from mmdet.structures import DetDataSample as Sample
    return dict(inputs=[image], data_samples=[Sample(metainfo=metainfo)])


def preprocess(model: nn.Module, data: dict) -> tuple[Tensor, BaseDataElement]:
    """Return the wrapped model's input (1, 3, H, W) and its data sample."""
    batch = model.image_model.data_preprocessor(data, False)
    return batch['inputs'], batch['data_samples'][0]


@dataclass(frozen=True)
class Stopwatch:
    """Time calls on a device.

    Args:
        device: Device that the calls use.
        clock: Function that returns seconds; `time.process_time` is independent of
            other jobs, for models on one CPU thread.
    """

    device: torch.device
    clock: Callable[[], float] = time.perf_counter

    def time(self, call: Callable[[], Any]) -> tuple[float, Any]:
        """Run `call`; return its seconds, including device work, and its result."""
        self._wait()
        start = self.clock()
        result = call()
        self._wait()
        return self.clock() - start, result

    def _wait(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)


@torch.no_grad()
def time_model(
    model: nn.Module,
    frames: Sequence[Tensor],
    *,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    on_frame: Callable[[], None] = lambda: None,
) -> Timings:
    """Time whole frames through `test_step` and the parts on their own.

    Args:
        model: DFF model in eval mode with a fixed scheduler of interval `len(frames)`,
            or with an adaptive one.
        frames: uint8 frames (3, H, W) of a video: one interval, or for an adaptive
            scheduler any number.
        repeats: Number of rounds over these frames, after a short warm-up.
        clock: See `Stopwatch`.
        on_frame: Called after each frame, for progress.

    Raises:
        ValueError: If a fixed scheduler selects other key frames than the first.
    """
    watch = Stopwatch(next(model.parameters()).device, clock)
    timings = Timings()
    _round(model, frames[:2], Timings(), watch)
    for _ in range(repeats):
        _round(model, frames, timings, watch, on_frame=on_frame)
    return timings


def _round(model, frames, timings, watch, *, on_frame=lambda: None) -> None:
    """Run the frames by the image model, then as a stream, then the parts once.

    The models alternate by rounds, not by frames: after a frame of the other model,
    caches and allocator would not be in the state of normal use.
    """
    spent = 0.0
    for frame_id, image in enumerate(frames):
        data = make_data(model, image, frame_id)
        # both models convert scores to results in the same way
        frame_model = model.seam.frame_model()
        seconds, _ = watch.time(lambda d=data, m=frame_model: m.test_step(d))
        timings.frame.append(seconds)
        spent += seconds
        on_frame()
    timings.rounds.append((spent, _stream(model, frames, timings, watch)))
    _time_parts(model, frames, timings, watch)


def _stream(model, frames, timings, watch) -> float:
    """Run the frames as a stream; return the seconds spent."""
    model.reset_stream()
    spent = 0.0
    is_fixed = isinstance(model.key_frame_scheduler, FixedKeyFrameScheduler)
    timings.key_frames.clear()
    for frame_id, image in enumerate(frames):
        data = make_data(model, image, frame_id)
        seconds, results = watch.time(lambda d=data: model.test_step(d))
        is_key = results[0].metainfo['is_key_frame']
        if is_key:
            timings.key_frames.append(frame_id)
        if is_fixed and is_key != (frame_id == 0):
            raise ValueError(
                f'expected one key frame in {len(frames)} frames, but frame {frame_id} '
                f'has is_key_frame {is_key}: use a FixedKeyFrameScheduler with '
                f'interval={len(frames)}'
            )
        (timings.key if is_key else timings.propagated).append(seconds)
        spent += seconds
        predicted = results[0].get('pred_instances')
        timings.num_predictions.append(0 if predicted is None else len(predicted))
    return spent


def _time_parts(model, frames, timings, watch) -> None:
    key, _ = preprocess(model, make_data(model, frames[0], 0))
    cur, sample = preprocess(model, make_data(model, frames[-1], len(frames) - 1))
    seam, propagation = model.seam, model.propagation
    shapes = [sample.metainfo['img_shape']]
    seconds, feats = watch.time(lambda: seam.head(key))
    timings.n_feat.append(seconds)
    seconds, found = watch.time(
        lambda: propagation.estimate(cur, key, shapes, levels=list(feats.maps))
    )
    timings.flow.append(seconds)
    seconds, feats = watch.time(
        lambda: propagation.warp(feats, propagation.fields(*found, feats))
    )
    timings.warp.append(seconds)
    seconds, _ = watch.time(
        lambda: seam.run('predict', cur, feats, [sample], is_propagated=True)
    )
    timings.n_task.append(seconds)


def count_model(model: nn.Module, frame: Tensor) -> Complexity:
    """Count the multiply-adds of a DFF model on a uint8 frame (3, H, W)."""
    image, sample = preprocess(model, make_data(model, frame, 0))
    return measure_complexity(model, image, sample)
