"""Frames of a source, what was damaged in it, and which part of it is read."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame.

    Attributes:
        image: (H, W, 3) BGR uint8.
        path: Its path if it is an image file.
        index: Number of the frame, from 0. A number is missing where a live source
            skipped a frame, or a frame could not be read.
        time: When it is shown, in seconds from the start of the source; or None.
        picture_type: 'I', 'P' or 'B' if the decoder says so, else None.
        vectors: Motion vectors (M,) as FFmpeg exports them (fields `source`, `w`, `h`,
            `src_x`, `src_y`, `dst_x`, `dst_y`, `motion_x`, `motion_y`,
            `motion_scale`); None if they were not requested or there are none.
        is_damaged: Whether parts of the image were guessed by the decoder.
        starts_anew: Whether it or the frame before it is damaged or was lost, so that
            nothing must be propagated into it.
    """

    image: np.ndarray
    path: str | None = None
    index: int = 0
    time: float | None = None
    picture_type: str | None = None
    vectors: np.ndarray | None = None
    is_damaged: bool = False
    starts_anew: bool = False


class Damage(NamedTuple):
    """A place of a source that could not be read.

    Attributes:
        number: Number of the frame in the source, from 0.
        time: In seconds from the start of the source; None if unknown.
        reason: What the decoder says.
        kind: 'lost' if the frame was not delivered, 'concealed' if it was, with its
            damaged parts guessed; 'container' if something between the frames is
            damaged, and frames from this number on may be missing.
    """

    number: int
    time: float | None
    reason: str
    kind: Literal['lost', 'concealed', 'container'] = 'lost'

    def __str__(self) -> str:
        when = '' if self.time is None else f' ({self.time:.2f} s)'
        what = f'frame {self.number}{when}'
        form = dict(
            lost=f'{what} cannot be read',
            concealed=f'{what} is damaged',
            container=f'the file is damaged at {what}',
        )
        return f'{form[self.kind]}: {self.reason}'


@dataclass(frozen=True)
class Part:
    """Which frames of a source are read: those of `range(start, stop, stride)`.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is negative, `stride` is 0, or `stop` is not after
            `start`.
    """

    start: int = 0
    stop: int | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        lowest = dict(start=0, stop=self.start + 1, stride=1)
        for name, least in lowest.items():
            value: Any = getattr(self, name)
            if value is None and name == 'stop':
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f'{name} must be an integer, got {value!r}')
            if value < least:
                raise ValueError(f'{name} must be at least {least}, got {value}')

    @property
    def slice(self) -> slice:
        """Return the part as a slice of a sequence."""
        return slice(self.start, self.stop, self.stride)

    def __contains__(self, number: int) -> bool:
        is_within = number >= self.start and not self.is_over(number)
        return is_within and (number - self.start) % self.stride == 0

    def is_over(self, number: int) -> bool:
        """Check whether frame `number` of the source is after the part."""
        return self.stop is not None and number >= self.stop

    def index(self, number: int) -> int:
        """Return the index of frame `number` among those that are read."""
        return (number - self.start) // self.stride

    def count(self, total: int | None) -> int | None:
        """Return how many of `total` frames are read; None if it is unknown."""
        if total is None:
            return None
        stop = total if self.stop is None else min(total, self.stop)
        return len(range(self.start, stop, self.stride))

    def fps(self, fps: float | None) -> float | None:
        """Return the rate of the frames that are read."""
        return None if fps is None else fps / self.stride


EVERYTHING = Part()
