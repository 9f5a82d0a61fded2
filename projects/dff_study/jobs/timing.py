"""How to time a model."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TimingSettings:
    """How to time a model.

    Attributes:
        size: (H, W) of the frames.
        interval: l, the key frame interval.
        repeats: Number of rounds.
        device: Of torch.
        threads: On the CPU.
        is_cpu_time: Whether to count CPU seconds instead of wall seconds.

    Raises:
        ValueError: CPU time is asked for several threads or another device.
    """

    size: tuple[int, int]
    interval: int
    repeats: int = 5
    device: str = 'cpu'
    threads: int = 2
    is_cpu_time: bool = False

    def __post_init__(self) -> None:
        if self.is_cpu_time and (self.threads != 1 or self.device != 'cpu'):
            raise ValueError(
                'is_cpu_time needs one thread and the CPU, got '
                f'{self.threads} on {self.device}'
            )

    @property
    def clock(self) -> Callable[[], float]:
        """Clock in seconds."""
        return time.process_time if self.is_cpu_time else time.perf_counter
