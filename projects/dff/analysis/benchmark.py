"""Time the image model against its DFF model in one process, interleaved.

Machines drift, and other jobs come and go: each frame is run by both models before
the next one, and medians and ratios within a round are reported.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from terminaltables import AsciiTable
from torch import Tensor, nn

from .complexity import (
    Complexity,
    cost_ratio,
    measure_complexity,
    predicted_speedup,
)

PARTS = ('n_feat', 'flow', 'warp', 'n_task')


@dataclass
class Timings:
    """Seconds of every run, by what was run.

    `frame` is the image model's own prediction, `key` and `propagated` a frame of
    the stream; the parts are run one by one on the same frames. `rounds` holds the
    image model's time on l frames and the stream's.
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

    def medians(self) -> dict[str, float]:
        """Return the median seconds of everything that was timed."""
        return {name: median(getattr(self, name)) for name in self.timed()}

    @staticmethod
    def timed() -> tuple[str, ...]:
        """Name what is timed."""
        return ('frame', 'key', 'propagated', *PARTS)


def moving_frames(size: tuple[int, int], count: int) -> list[Tensor]:
    """Make seeded uint8 frames (3, H, W) of a texture moving by (2, 1) pixels."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(
        1, 3, *(max(2, side // 8) for side in size), generator=generator
    )
    image = nn.functional.interpolate(coarse, size, mode='bilinear')[0] * 255
    image = image.to(torch.uint8)  # (3, H, W)
    return [image.roll((step, 2 * step), dims=(1, 2)) for step in range(count)]


def make_data(model: nn.Module, image: Tensor, frame_id: int) -> dict[str, list]:
    """Build what a test loader gives: an image (3, H, W) and its data sample."""
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
    """Return the wrapped model's image (1, 3, H, W) and its sample."""
    batch = model.image_model.data_preprocessor(data, False)
    return batch['inputs'], batch['data_samples'][0]


@dataclass(frozen=True)
class Stopwatch:
    """Measure calls on a device with a clock that gives seconds.

    `time.process_time` is fair beside other jobs, for models on one CPU thread.
    """

    device: torch.device
    clock: Callable[[], float] = time.perf_counter

    def time(self, call: Callable[[], Any]) -> tuple[float, Any]:
        """Run `call` and return its seconds, device work included, and its result."""
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
        model: DFF model in eval mode with a scheduler of interval `len(frames)`.
        frames: One interval of uint8 frames (3, H, W); the first is the key frame.
        repeats: Rounds over these frames; one more, short one warms up.
        clock: See `Stopwatch`.
        on_frame: Called after each frame, for progress.
    """
    watch = Stopwatch(next(model.parameters()).device, clock)
    timings = Timings()
    _round(model, frames[:2], Timings(), watch)
    for _ in range(repeats):
        _round(model, frames, timings, watch, on_frame=on_frame)
    return timings


def _round(model, frames, timings, watch, *, on_frame=lambda: None) -> None:
    """Run the frames by the image model, then as a stream, then the parts once.

    The two take turns round by round, not frame by frame: a Frame between two frames
    of the stream would find the caches and the allocator in another state than in use.
    """
    spent = 0.0
    for frame_id, image in enumerate(frames):
        data = make_data(model, image, frame_id)
        # both sides turn scores into results in the same way
        with model.seam.post_processing():
            seconds, _ = watch.time(lambda d=data: model.image_model.test_step(d))
        timings.frame.append(seconds)
        spent += seconds
        on_frame()
    timings.rounds.append((spent, _stream(model, frames, timings, watch)))
    _time_parts(model, frames, timings, watch)


def _stream(model, frames, timings, watch) -> float:
    """Run the frames as a stream; return the seconds spent."""
    model.reset_stream()
    spent = 0.0
    for frame_id, image in enumerate(frames):
        data = make_data(model, image, frame_id)
        seconds, results = watch.time(lambda d=data: model.test_step(d))
        is_key = results[0].metainfo['is_key_frame']
        if is_key != (frame_id == 0):
            raise ValueError(
                f'one key frame in {len(frames)} frames is expected, but frame '
                f'{frame_id} has is_key_frame {is_key}: use a FixedKeyFrameScheduler '
                f'with interval={len(frames)}'
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
    levels = seam.levels(feats)
    seconds, found = watch.time(
        lambda: propagation.estimate(cur, key, shapes, levels=levels)
    )
    timings.flow.append(seconds)
    seconds, feats = watch.time(
        lambda: propagation.warp(
            feats, propagation.fields(*found, feats, levels=levels)
        )
    )
    timings.warp.append(seconds)
    seconds, _ = watch.time(lambda: seam.run('predict', cur, feats, [sample]))
    timings.n_task.append(seconds)


def count_model(model: nn.Module, frame: Tensor) -> Complexity:
    """Count the multiply-adds of a DFF model on a uint8 frame (3, H, W)."""
    image, sample = preprocess(model, make_data(model, frame, 0))
    return measure_complexity(model, image, sample)


def summarise(timings: Timings, macs: Complexity, interval: int) -> dict[str, Any]:
    """Bring measurement and prediction together.

    Returns:
        `macs` a part; `milliseconds` (medians); `rest_milliseconds`, what is in a
        frame beside its parts; `speedup`: measured (median over rounds of l frames),
        and predicted by Eq. (7) with r of Eq. (6) and Eq. (5) from MACs and with
        r of Eq. (5) from the measured parts; `loss`: the speed-up when all parts run
        at N_feat's rate, then with the measured time of one part after the other.
    """
    seconds = timings.medians()
    ratio = cost_ratio(
        seconds['n_feat'],
        seconds['flow'],
        n_task=seconds['n_task'],
        warp=seconds['warp'],
    )
    task, warped = seconds['n_task'], seconds['flow'] + seconds['warp']
    rest = {
        'frame': seconds['frame'] - seconds['n_feat'] - task,
        'key': seconds['key'] - seconds['n_feat'] - task,
        'propagated': seconds['propagated'] - warped - task,
    }
    speedups = [frame / stream for frame, stream in timings.rounds]
    return {
        'interval': interval,
        'macs': asdict(macs),
        'milliseconds': {name: 1e3 * value for name, value in seconds.items()},
        'rest_milliseconds': {name: 1e3 * value for name, value in rest.items()},
        'speedup': {
            'measured': median(speedups),
            'rounds': speedups,
            'key_to_propagated': seconds['key'] / seconds['propagated'],
            'eq6_macs': predicted_speedup(macs.ratio(with_task=False), interval),
            'eq5_macs': predicted_speedup(macs.ratio(), interval),
            'eq5_measured_parts': predicted_speedup(ratio, interval),
        },
        'loss': _explain_loss(seconds, macs, interval),
        'predictions_per_frame': float(np.mean(timings.num_predictions)),
    }


def _explain_loss(
    seconds: dict[str, float], macs: Complexity, interval: int
) -> dict[str, float]:
    """Replace ideal times, MACs at N_feat's rate, by measured ones step by step."""
    rate = macs.n_feat / seconds['n_feat']
    parts = {'n_task': macs.n_task / rate, 'flow': macs.flow / rate, 'warp': 0.0}
    names = {'n_task': 'N_task', 'flow': 'F + S', 'warp': 'W'}
    steps = {}

    def speedup(frame: float, key: float, propagated: float) -> float:
        return interval * frame / (key + (interval - 1) * propagated)

    def ideal() -> float:
        key = seconds['n_feat'] + parts['n_task']
        return speedup(key, key, sum(parts.values()))

    steps['all at the rate of N_feat'] = ideal()
    for name, label in names.items():
        parts[name] = seconds[name]
        steps[f'measured {label}'] = ideal()
    steps['measured whole frames'] = speedup(
        seconds['frame'], seconds['key'], seconds['propagated']
    )
    return steps


def format_summary(summary: dict[str, Any]) -> str:
    """Lay the summary out as three tables."""
    ms, macs = summary['milliseconds'], summary['macs']
    labels = dict(n_feat='N_feat', flow='F + S', warp='W', n_task='N_task')
    rows = [['part', 'Gmac', 'ms', 'Gmac/s']]
    for part, label in labels.items():
        gmacs = macs[part] / 1e9
        rows.append(
            [label, f'{gmacs:.3f}', f'{ms[part]:.1f}', f'{1e3 * gmacs / ms[part]:.0f}']
        )
    parts = AsciiTable(rows, 'Parts').table
    rows = [['frame', 'ms', 'of it rest, ms']]
    for name, label in (('frame', 'Frame'), ('key', 'DFF key')):
        rest = summary['rest_milliseconds'][name]
        rows.append([label, f'{ms[name]:.1f}', f'{rest:.1f}'])
    rest = summary['rest_milliseconds']['propagated']
    rows.append(['DFF other', f'{ms["propagated"]:.1f}', f'{rest:.1f}'])
    frames = AsciiTable(rows, 'Whole frames').table
    labels = {
        'measured': 'measured',
        'eq5_measured_parts': 'Eq. (7), r of Eq. (5), measured parts',
        'eq5_macs': 'Eq. (7), r of Eq. (5), MACs',
        'eq6_macs': 'Eq. (7), r of Eq. (6), MACs',
    }
    figures = [(labels[name], summary['speedup'][name]) for name in labels]
    figures += [(f'loss: {step}', value) for step, value in summary['loss'].items()]
    rows = [['speed-up over Frame', f'l = {summary["interval"]}']]
    rows += [[label, f'{value:.2f}'] for label, value in figures]
    return '\n'.join([parts, frames, AsciiTable(rows, 'Speed-up').table])
