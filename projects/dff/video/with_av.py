"""Decode videos with PyAV, and learn from the decoder what is damaged.

FFmpeg conceals damaged parts of a picture and goes on. It says so by an error for the
packet, a mark on packet or frame, or only in its log. All three are read here, so one
thread decodes: each message then belongs to the packet that is being decoded.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.logging
import numpy as np

from .frame import EVERYTHING, Damage, Frame, Part
from .numbering import Numbered, Picture, Trouble, number_pictures

OPEN_TIMEOUT, READ_TIMEOUT = 10.0, 10.0  # seconds; for addresses
# `analyzeduration` in microseconds: a live source must not be studied for 5 seconds.
LIVE_OPTIONS = dict(rtsp_transport='tcp', analyzeduration='500000', fflags='nobuffer')
EXPORT_VECTORS = dict(flags2='+export_mvs')
PICTURE_TYPES = {1: 'I', 2: 'P', 3: 'B'}  # AVPictureType
# Cameras write JPEGs with application data that FFmpeg does not know. It says so as an
# error and reads the picture.
HARMLESS = ('APP fields',)


class AvVideo:
    """A video that is open for one reading.

    Args:
        source: Path or address.
        is_live: Whether to keep the delay short.
        with_vectors: Whether to export motion vectors.

    Attributes:
        fps: Mean frames per second; None if unknown.
        count: Number of frames that the container states or its duration suggests, or
            None. It may be wrong.
        is_endless: Whether the source has no known duration.

    Raises:
        ValueError: If the source cannot be opened or has no video.
    """

    def __init__(
        self, source: str, *, is_live: bool = False, with_vectors: bool = False
    ) -> None:
        _listen_to_errors()
        timeout = (OPEN_TIMEOUT, READ_TIMEOUT) if '://' in source else None
        options = LIVE_OPTIONS if is_live else {}
        self._is_live = is_live
        with av.logging.Capture(local=True) as messages:
            try:
                self._container: Any = av.open(source, options=options, timeout=timeout)
            except av.error.FFmpegError as error:
                raise ValueError(explain(error)) from error
        # not the picture of a record's cover
        stream: Any = self._container.streams.best('video')
        if stream is None:
            self._container.close()
            raise ValueError('it has no video stream')
        self._stream: Any = stream
        self._decoder: Any = stream.codec_context
        if self._decoder is None:
            self._container.close()
            raise ValueError('there is no decoder for it')
        self._decoder.thread_count = 1
        if with_vectors:
            self._decoder.options = EXPORT_VECTORS
        self._complaint = self._container_error(messages)
        self._size: tuple[int, int] | None = None
        rate = stream.average_rate or stream.guessed_rate
        self.fps = float(rate) if rate and 0 < rate < 1000 else None
        self.is_endless = self._container.duration is None
        self.count = self._estimate_count()

    def close(self) -> None:
        """Close the file or the connection."""
        self._container.close()

    def read(self, part: Part = EVERYTHING) -> Iterator[Frame | Damage]:
        """Yield the frames of a part in display order, and what could not be read."""
        for item in number_pictures(self._events()):
            if part.is_over(item.number):
                break
            if isinstance(item.what, Trouble):
                if item.number >= part.start:
                    time = self._seconds(item.what.pts)
                    kind = item.what.kind
                    yield Damage(item.number, time, item.what.reason, kind)
            elif item.number in part:
                yield self._convert(item, part.index(item.number))

    def _events(self) -> Iterator[Trouble | Picture]:
        """Decode the packets in order."""
        if self._complaint:
            yield Trouble(None, self._complaint)
        packets = self._container.demux(self._stream)
        while True:
            packet, complaint = self._next_packet(packets)
            if complaint:
                yield Trouble(None, complaint)
            if packet is None:
                break
            frames, complaint = self._decode(packet)
            if complaint and not packet.is_discard:
                yield Trouble(packet.pts, complaint)
            for frame in frames:
                yield Picture(frame, frame.pts, frame.is_corrupt)

    def _next_packet(self, packets: Iterator[Any]) -> tuple[Any, str | None]:
        with av.logging.Capture(local=True) as messages:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                if self._is_live:
                    return None, None
                return None, f'the file ends early ({explain(error)})'
        return packet, self._container_error(messages)

    def _decode(self, packet: Any) -> tuple[list[Any], str | None]:
        complaint = 'the packet is damaged' if packet.is_corrupt else None
        with av.logging.Capture(local=True) as messages:
            try:
                frames = self._decoder.decode(packet)
            except av.error.EOFError:
                frames = []
            except av.error.FFmpegError as error:
                frames, complaint = [], explain(error)
        return frames, _first_error(messages) or complaint

    def _container_error(self, messages: list) -> str | None:
        """Return what the container's reader complained of, not the decoder."""
        names = {self._container.format.name}
        return _first_error([m for m in messages if m[1] in names])

    def _estimate_count(self) -> int | None:
        if self._stream.frames:
            return self._stream.frames
        if self.is_endless or self.fps is None:
            return None
        return max(1, round(self._container.duration / av.time_base * self.fps))

    def _seconds(self, pts: int | None) -> float | None:
        if pts is None or self._stream.time_base is None:
            return None
        start = Fraction(self._container.start_time or 0, av.time_base)
        return float(pts * self._stream.time_base - start)

    def _convert(self, item: Numbered, index: int) -> Frame:
        frame: Any = item.what.frame
        height, width = self._size = self._size or (frame.height, frame.width)
        # of one size, as players show a video whose size changes
        shown = frame.reformat(width=width, height=height, format='bgr24')
        image = shown.to_ndarray()
        turns = round(frame.rotation / 90) % 4
        if turns:
            image = np.ascontiguousarray(np.rot90(image, turns))
        vectors = None if turns else frame.side_data.get('MOTION_VECTORS')
        return Frame(
            image,
            index=index,
            time=self._seconds(frame.pts),
            picture_type=PICTURE_TYPES.get(frame.pict_type),
            vectors=None if vectors is None else vectors.to_ndarray(),
            is_damaged=item.is_damaged,
            starts_anew=item.starts_anew,
        )


def _listen_to_errors() -> None:
    """Let FFmpeg hand its errors to `av.logging.Capture`, each of them."""
    level = av.logging.get_level()
    if level is None or level < av.logging.ERROR:
        av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)


def _first_error(messages: list[tuple[int, str, str]]) -> str | None:
    """Return the first message that is a real error."""
    errors = (text.strip() for level, _, text in messages if level <= av.logging.ERROR)
    return next(
        (text for text in errors if not any(word in text for word in HARMLESS)), None
    )


def explain(error: BaseException) -> str:
    """Return what FFmpeg says about an error."""
    log = getattr(error, 'log', None)
    text = log[2] if log else getattr(error, 'strerror', None) or str(error)
    return text.strip()
