"""Speed of one DFF model: key frames and others, and a whole stream to check them."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
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


@dataclass(frozen=True)
class SpeedSettings:
    """What was timed, and how.

    Attributes:
        config: Path from the folder of configs.
        checkpoint: Its weights; None is seeded random ones.
        size: (H, W) of the frames.
        interval: l of the rounds from which key frames and others are timed.
        repeats: Rounds; half as many, rounded up, of the whole stream.
        stream: l of the whole stream.
        device: Of torch.
        threads: On the CPU.
        is_cpu_time: Whether seconds are of the CPU; else of the wall.
    """

    config: str
    checkpoint: str | None
    size: tuple[int, int]
    interval: int
    repeats: int
    stream: int
    device: str = 'cpu'
    threads: int = 2
    is_cpu_time: bool = False

    def __post_init__(self) -> None:
        if self.interval < 2 or self.stream < 2 or self.repeats < 1:
            raise ValueError(
                'interval and stream must be >= 2 and repeats >= 1, got '
                f'{self.interval}, {self.stream} and {self.repeats}'
            )
        if self.is_cpu_time and (self.threads != 1 or self.device != 'cpu'):
            raise ValueError(
                'is_cpu_time needs one thread and the CPU, got '
                f'{self.threads} on {self.device}'
            )


def check_settings(path: Path, wanted: SpeedSettings) -> None:
    """Refuse a file that holds a measurement of something else.

    Raises:
        ValueError: It does.
    """
    found = read_speed(path)
    if found is None:
        return
    refuse_other(path, found['settings'], asdict(wanted))


def refuse_other(
    path: Path, measured: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Refuse a file that was measured in another way than is asked for now.

    Args:
        path: The file.
        measured: Name and value of each setting that it tells.
        wanted: Those of now.

    Raises:
        ValueError: They differ; names each.
    """
    now = json.loads(json.dumps(wanted))  # tuples become lists
    other = {n: (measured.get(n), v) for n, v in now.items() if measured.get(n) != v}
    if other:
        told = ', '.join(f'{n} {was!r}, not {is_!r}' for n, (was, is_) in other.items())
        raise ValueError(
            f'{path} was measured with {told}: give another --out, or remove it'
        )


def read_speed(path: Path) -> dict[str, Any] | None:
    """Read what `measure_speed` gave; None where there is no file."""
    return json.loads(path.read_text()) if path.is_file() else None


def measure_speed(model: nn.Module, settings: SpeedSettings) -> dict[str, Any]:
    """Time a model by its settings.

    Args:
        model: DFF model in eval mode with a fixed scheduler of `settings.interval`.
        settings: Its `config` and `checkpoint` are only noted.

    Returns:
        `settings`; `benchmark` as `summarise` gives it; `rounds`, the median seconds
        of `frame`, `key` and `propagated` in each; `stream`: its `interval`, the
        `rounds` (Frame, stream) in seconds, and `speedup`, their median ratio.
    """
    clock = time.process_time if settings.is_cpu_time else time.perf_counter
    streams = -(-settings.repeats // 2)
    total = settings.repeats * settings.interval + 2 * streams * settings.stream
    progress = ProgressBar(total)
    frames = moving_frames(settings.size, max(settings.interval, settings.stream))
    macs = count_model(model, frames[0])
    timings = time_model(
        model,
        frames[: settings.interval],
        repeats=settings.repeats,
        clock=clock,
        on_frame=progress.update,
    )
    rounds = time_streams(
        model,
        frames[: settings.stream],
        repeats=streams,
        clock=clock,
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
    """Tell whether F computes with torch; OpenCV's work is in no multiply-adds."""
    name = type(model.propagation.flow_estimator).__name__
    return not name.startswith('Classical')


def by_round(timings: Timings, interval: int) -> list[dict[str, float]]:
    """Give the median seconds of each round of one key frame and l - 1 others."""
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
    """Time l frames by the image model and as a stream, each as a whole.

    Args:
        model: DFF model in eval mode; its scheduler becomes one of `len(frames)`.
        frames: uint8 (3, H, W); the first is the key frame.
        repeats: Rounds.
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
        with model.seam.post_processing():
            frame = run(model.image_model.test_step)
        model.reset_stream()
        rounds.append((frame, run(model.test_step)))
        assert model.stream.key_frame_id == 0  # one key frame
    return rounds
