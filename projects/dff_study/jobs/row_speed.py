"""Speed of one DFF model: key frames and others, and a whole stream as a check."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from mmengine.utils import ProgressBar
from torch import Tensor, nn

from dff.cost.benchmark import (
    Stopwatch,
    Timings,
    count_model,
    make_data,
    moving_frames,
    time_model,
)
from dff.cost.benchmark_report import summarise
from dff.models.key_frame import FixedKeyFrameScheduler

from .timing import TimingSettings


@dataclass(frozen=True, kw_only=True)
class SpeedSettings(TimingSettings):
    """What to time, and how.

    Key frames and others are timed in `repeats` rounds of `interval` frames, and the
    whole stream in half as many, rounded up.

    Attributes:
        config: Path from the folder of configs.
        checkpoint: Its weights; None is random ones from a fixed seed.
        stream: l of the whole stream.

    Raises:
        ValueError: A number is too small, or see `TimingSettings`.
    """

    config: str
    checkpoint: str | None = None
    stream: int

    def __post_init__(self) -> None:
        if self.interval < 2 or self.stream < 2 or self.repeats < 1:
            raise ValueError(
                'interval and stream must be >= 2 and repeats >= 1, got '
                f'{self.interval}, {self.stream} and {self.repeats}'
            )
        super().__post_init__()


def measure_speed(model: nn.Module, settings: SpeedSettings) -> dict[str, Any]:
    """Time a model by its settings.

    Args:
        model: DFF model in eval mode with a fixed scheduler of `settings.interval`.
        settings: Its `config` and `checkpoint` are only recorded.

    Returns:
        `settings`; `benchmark`, see `summarise`; `rounds`, the median seconds of
        `frame`, `key` and `propagated` in each; `stream`: its `interval`, the
        `rounds` (Frame, stream) in seconds, and `speedup`, their median ratio.
    """
    streams = -(-settings.repeats // 2)
    total = settings.repeats * settings.interval + 2 * streams * settings.stream
    progress = ProgressBar(total)
    frames = moving_frames(settings.size, max(settings.interval, settings.stream))
    macs = count_model(model, frames[0])
    timings = time_model(
        model,
        frames[: settings.interval],
        repeats=settings.repeats,
        clock=settings.clock,
        on_frame=progress.update,
    )
    rounds = time_streams(
        model,
        frames[: settings.stream],
        repeats=streams,
        clock=settings.clock,
        on_frame=progress.update,
    )
    print(flush=True)
    return dict(
        settings=asdict(settings),
        torch=torch.__version__,
        is_flow_counted=_is_counted(model),
        benchmark=summarise(timings, macs, settings.interval),
        rounds=by_round(timings, settings.interval),
        stream=dict(
            interval=settings.stream,
            rounds=rounds,
            speedup=median(frame / stream for frame, stream in rounds),
        ),
    )


def _is_counted(model: nn.Module) -> bool:
    """Return whether F computes with torch; MACs of OpenCV are not counted."""
    name = type(model.propagation.flow_estimator).__name__
    return not name.startswith('Classical')


def by_round(timings: Timings, interval: int) -> list[dict[str, float]]:
    """Return the median seconds of each round of one key frame and l - 1 others."""
    rounds = []
    for index, key in enumerate(timings.key):
        frame = timings.frame[index * interval : (index + 1) * interval]
        others = interval - 1
        other = timings.propagated[index * others : (index + 1) * others]
        rounds.append(dict(frame=median(frame), key=key, propagated=median(other)))
    return rounds


@torch.no_grad()
def time_streams(
    model: nn.Module,
    frames: Sequence[Tensor],
    *,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    on_frame: Callable[[], None] = lambda: None,
) -> list[tuple[float, float]]:
    """Time l frames with the image model and as a stream, each as a whole.

    Args:
        model: DFF model in eval mode; its scheduler is replaced, with l = len(frames).
        frames: uint8 (3, H, W); the first is the key frame.
        repeats: Number of rounds.
        clock: See `Stopwatch`.
        on_frame: Called after each frame.

    Returns:
        Seconds (Frame, stream) of each round.
    """
    model.key_frame_scheduler = FixedKeyFrameScheduler(interval=len(frames))
    watch = Stopwatch(next(model.parameters()).device, clock)

    def run(step: Callable[[dict], Any]) -> float:
        batches = [make_data(model, image, i) for i, image in enumerate(frames)]

        def whole() -> None:
            for batch in batches:
                step(batch)
                on_frame()

        return watch.time(whole)[0]

    rounds = []
    for _ in range(repeats):
        frame = run(model.seam.frame_model().test_step)
        model.reset_stream()
        rounds.append((frame, run(model.test_step)))
        assert model.stream.key_frame_id == 0  # one key frame
    return rounds
