"""Read cameras and streams from addresses."""

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Literal, NamedTuple, get_args

from .frame import Damage, Frame
from .read_ahead import AHEAD, read_ahead
from .source import FrameSource
from .video_file import open_video

FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0  # seconds between attempts to connect again
Drop = Literal['old']


class LiveVideo(FrameSource):
    """A camera or an address whose frames do not wait for the one who reads them.

    A thread reads. `Frame.index` is the number of the frame in the source, so that a
    skipped frame is a gap. `Frame.time` is when it arrived, in seconds after the first:
    MJPEG has no clock, and others start anew with each connection. A lost connection is
    listed in `damage`.

    Args:
        source: Camera index or address.
        name: Name of the source, for messages and outputs.
        drop: 'old' delivers the newest frame and counts the older ones that nobody
            read in `skipped`. None delivers all frames, so the reader must keep up.
        reconnect: For how many seconds to try again after the connection was lost,
            with longer and longer waits between; None ends the source.
        video: The open source, for the first iteration; None opens it.
        options: `on_damage` of `FrameSource`.

    Raises:
        ValueError: If an option is invalid or the source cannot be opened. While
            iterating, see `FrameSource`.
    """

    def __init__(
        self,
        source: str | int,
        *,
        name: str,
        drop: Drop | None = 'old',
        reconnect: float | None = None,
        video: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        if drop is not None and drop not in get_args(Drop):
            raise ValueError(f"drop must be 'old' or None, got {drop!r}")
        if reconnect is not None and not reconnect > 0:
            raise ValueError(f'reconnect must be above 0 or None, got {reconnect}')
        self.source = source
        self.drop = drop
        self.reconnect = reconnect
        self._video = self._open() if video is None else video
        self.fps = self._video.fps

    def _open(self) -> Any:
        return open_video(self.source, name=self.name, is_live=True)

    def _read(self) -> Iterator[Frame | Damage]:
        deliveries = read_ahead(
            self._receive,
            size=AHEAD if self.drop is None else 1,
            merge=None if self.drop is None else _merge,
        )
        with closing(deliveries):
            for delivery in deliveries:
                self.skipped += delivery.skipped
                yield from delivery.damage
                if delivery.frame is not None:
                    yield delivery.frame

    def _receive(self, stop: threading.Event) -> Generator['_Delivery', None, None]:
        """Read in the thread, through lost connections."""
        video, self._video = self._video or self._open(), None
        first, is_new = 0, False
        begin: float | None = None
        while video is not None:
            last = first - 1
            with closing(video):
                for item in video.read():
                    if isinstance(item, Damage):
                        number = first + item.number
                        if item.kind == 'lost':
                            last = max(last, number)
                        yield _Delivery(None, (item._replace(number=number),))
                        continue
                    last = first + item.index
                    now = time.monotonic()
                    begin = now if begin is None else begin
                    frame = replace(
                        item,
                        index=last,
                        time=now - begin,
                        starts_anew=item.starts_anew or is_new,
                    )
                    yield _Delivery(frame)
                    is_new = False
            lost = Damage(last + 1, None, 'the connection was lost')
            yield _Delivery(None, (lost,))
            video = self._connect_again(stop)
            first, is_new = last + 2, True

    def _connect_again(self, stop: threading.Event) -> Any:
        """Try to connect until it works; None if the time is over."""
        if self.reconnect is None:
            return None
        end, wait = time.monotonic() + self.reconnect, FIRST_WAIT
        while not stop.is_set():
            left = end - time.monotonic()
            if left <= 0:
                break
            if stop.wait(min(wait, left)):
                break
            try:
                return self._open()
            except ValueError:
                wait = min(2 * wait, LONGEST_WAIT)
        return None


class _Delivery(NamedTuple):
    """A frame, and what was lost before it."""

    frame: Frame | None
    damage: tuple[Damage, ...] = ()
    skipped: int = 0


def _merge(old: _Delivery, new: _Delivery) -> _Delivery:
    """Replace a frame that nobody has read by a newer one."""
    frame, skipped = new.frame, old.skipped + new.skipped
    if frame is None:
        frame = old.frame
    elif old.frame is not None:
        skipped += 1
        starts_anew = frame.starts_anew or old.frame.starts_anew
        frame = replace(frame, starts_anew=starts_anew)
    return _Delivery(frame, old.damage + new.damage, skipped)
