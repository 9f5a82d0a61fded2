"""Time many streams on one model, and streams whose keys are computed beside them."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from terminaltables import AsciiTable
from torch import Tensor, nn

from dff.models.algorithm import Step
from dff.models.background_key import BackgroundKeys
from dff.models.stream_state import StreamState

from .benchmark import Stopwatch, make_data


@dataclass(frozen=True)
class StreamRow:
    """Speed of a number of streams.

    Attributes:
        streams: How many there are.
        alone: Frames per second where frames run one by one.
        batched: Frames per second where the frames of a tick are one batch.
    """

    streams: int
    alone: float
    batched: float


@dataclass(frozen=True)
class DelayRow:
    """Time per frame of one stream; the first frame is left out.

    Attributes:
        lag: Frames from a key frame to its first use; None: keys are computed at once.
        p50: Median of the seconds per frame.
        p99: 99th percentile of the seconds per frame.
        worst: The longest frame, in seconds.
    """

    lag: int | None
    p50: float
    p99: float
    worst: float


def make_step(
    model: nn.Module,
    image: Tensor,
    frame_id: int,
    state: StreamState,
    background: BackgroundKeys | None = None,
) -> Step:
    """Pre-process an image (3, H, W) of a stream."""
    data = model.data_preprocessor(make_data(model, image, frame_id), False)
    (item,), (sample,) = data['inputs'], data['data_samples']
    return Step(item, sample, state, background)


@torch.no_grad()
def time_streams(
    model: nn.Module,
    frames: Sequence[Tensor],
    counts: Sequence[int],
    *,
    ticks: int,
    clock: Callable[[], float] = time.perf_counter,
    on_tick: Callable[[], None] = lambda: None,
) -> list[StreamRow]:
    """Time streams whose frames arrive together, one by one and as batches.

    Key frames are spread over time. All variants take turns tick by tick, so that a
    change of the machine's speed meets all alike.

    Args:
        model: Video model in eval mode.
        frames: Images (3, H, W), repeated as long as needed. Each stream starts at
            another one.
        counts: Numbers of streams.
        ticks: How many frames each stream has. One interval before is not timed.
        clock: Function that returns seconds, see :class:`Stopwatch`.
        on_tick: Call after each tick.
    """
    watch = Stopwatch(next(model.parameters()).device, clock)
    variants = [(count, batched) for count in counts for batched in (False, True)]
    states = {v: [StreamState(phase=n) for n in range(v[0])] for v in variants}
    spent: dict[tuple, list[float]] = {variant: [] for variant in variants}
    warm_up = getattr(model.key_frame_scheduler, 'interval', 1)

    def run(own: list[StreamState], batched: bool, tick: int) -> Any:
        steps = [
            make_step(model, frames[(tick + 3 * n) % len(frames)], tick, state)
            for n, state in enumerate(own)
        ]
        return model.predict_steps(steps, batched=batched)

    for tick in range(warm_up + ticks):
        for variant, own in states.items():
            seconds, _ = watch.time(partial(run, own, variant[1], tick))
            if tick >= warm_up:
                spent[variant].append(seconds)
        on_tick()
    speeds = {v: v[0] * len(times) / sum(times) for v, times in spent.items()}
    return [StreamRow(n, speeds[n, False], speeds[n, True]) for n in counts]


@torch.no_grad()
def time_delays(
    model: nn.Module,
    frames: Sequence[Tensor],
    lags: Sequence[int],
    *,
    count: int,
    rounds: int = 3,
    fps: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    on_frame: Callable[[], None] = lambda: None,
) -> list[DelayRow]:
    """Time the frames of a stream with keys computed at once and in the background.

    Args:
        model: Video model in eval mode.
        frames: Images (3, H, W), repeated as long as needed.
        lags: Lags to compare, see :class:`BackgroundKeys`.
        count: Frames of each stream and round.
        rounds: How often the variants take turns.
        fps: Frames per second that arrive; None: each as soon as the last is done.
        clock: Function that returns seconds. `time.thread_time` measures the stream's
            own thread: independent of other jobs, but without the time that it waits
            for a key frame whose lag is too short.
        on_frame: Call after each frame.
    """
    watch = Stopwatch(next(model.parameters()).device, clock)
    variants: list[int | None] = [None, *lags]
    spent: dict[int | None, list[float]] = {lag: [] for lag in variants}

    def run(image: Tensor, index: int, *stream: Any) -> Any:
        return model.predict_steps([make_step(model, image, index, *stream)])

    for lag in variants * rounds:
        state, background = StreamState(), None if lag is None else BackgroundKeys(lag)
        due = time.perf_counter()
        for index in range(count):
            if fps:
                time.sleep(max(0.0, due - time.perf_counter()))
                due = max(due, time.perf_counter()) + 1 / fps
            image = frames[index % len(frames)]
            seconds, _ = watch.time(partial(run, image, index, state, background))
            if index:
                spent[lag].append(seconds)
            on_frame()
        if background is not None:
            background.close()
    return [_delay_row(lag, spent[lag]) for lag in variants]


def _delay_row(lag: int | None, seconds: Sequence[float]) -> DelayRow:
    cuts = statistics.quantiles(seconds, n=100, method='inclusive')
    return DelayRow(lag, cuts[49], cuts[98], max(seconds))


def format_streams(rows: Sequence[StreamRow]) -> str:
    """Format the result of `time_streams` as a table."""
    cells = [['streams', 'one by one', 'batched', 'ratio']]
    for row in rows:
        speeds = [f'{row.alone:.1f}', f'{row.batched:.1f}']
        cells.append([str(row.streams), *speeds, f'{row.batched / row.alone:.2f}'])
    return AsciiTable(cells, 'Frames per second').table


def format_delays(rows: Sequence[DelayRow]) -> str:
    """Format the result of `time_delays` as a table."""
    cells = [['key frames', 'p50, ms', 'p99, ms', 'worst, ms', 'p99 / p50']]
    for row in rows:
        name = 'at once' if row.lag is None else f'in background, lag {row.lag}'
        times = [f'{1e3 * t:.1f}' for t in (row.p50, row.p99, row.worst)]
        cells.append([name, *times, f'{row.p99 / row.p50:.2f}'])
    return AsciiTable(cells, 'Time per frame').table


def report_streams(
    model: nn.Module,
    frames: Sequence[Tensor],
    counts: Sequence[int] | None,
    lags: Sequence[int] | None,
    *,
    rounds: int,
    interval: int,
    is_cpu_time: bool = False,
) -> str:
    """Time `rounds` intervals of frames for numbers of streams and for lags.

    Returns:
        The tables of `time_streams` and `time_delays`, where they were asked for.
    """
    tables = []
    if counts:
        clock = time.process_time if is_cpu_time else time.perf_counter
        rows = time_streams(model, frames, counts, ticks=rounds * interval, clock=clock)
        tables.append(format_streams(rows))
    if lags:
        clock = time.thread_time if is_cpu_time else time.perf_counter
        count = rounds * interval + 1  # the first frame is not timed
        tables.append(
            format_delays(time_delays(model, frames, lags, count=count, clock=clock))
        )
    return '\n'.join(tables)
