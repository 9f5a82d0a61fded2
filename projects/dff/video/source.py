"""What all sources of frames have in common."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, get_args

from mmengine.logging import print_log

from .frame import EVERYTHING, Damage, Frame, Part

OnDamage = Literal['skip', 'raise']


class FrameSource(ABC):
    """Frames that are read one at a time. Every iteration reads from the beginning.

    Attributes:
        name: Name of the source, for messages and outputs.
        fps: Frames per second; None if unknown.
        count: Number of frames, if it is known. For videos it is an estimate.
        damage: What the last iteration could not read.
        skipped: How many frames the last iteration skipped to be up to date.
        sound: Path of a file which may have sound that belongs to the frames; or None.

    Args:
        name: See above.
        part: Which frames are read.
        on_damage: 'skip' goes on behind what cannot be read, and lists it in `damage`;
            'raise' is a ValueError.

    Raises:
        ValueError: If `on_damage` is something else. While iterating, if there is no
            readable frame, or a frame cannot be read and `on_damage` is 'raise'.
    """

    fps: float | None = None
    count: int | None = None
    sound: str | None = None

    def __init__(
        self, name: str, *, part: Part = EVERYTHING, on_damage: OnDamage = 'skip'
    ) -> None:
        if on_damage not in get_args(OnDamage):
            raise ValueError(f"on_damage must be 'skip' or 'raise', got {on_damage!r}")
        self.name = name
        self.part = part
        self.on_damage = on_damage
        self.damage: list[Damage] = []
        self.skipped = 0

    def __iter__(self) -> Iterator[Frame]:
        self.damage, self.skipped = [], 0
        is_empty = True
        for item in self._read():
            if isinstance(item, Damage):
                self._add_damage(item)
            else:
                is_empty = False
                yield item
        if is_empty:
            reason = f': {self.damage[0].reason}' if self.damage else ''
            raise ValueError(f'{self.name} contains no readable frame{reason}')

    @abstractmethod
    def _read(self) -> Iterator[Frame | Damage]:
        """Yield the frames, and what could not be read where it was met."""

    def _add_damage(self, damage: Damage) -> None:
        if self.on_damage == 'raise':
            raise ValueError(f'{self.name}: {damage}')
        if not self.damage:
            message = f'{self.name}: {damage} (reading goes on behind it)'
            print_log(message, 'current', logging.WARNING)
        self.damage.append(damage)
