"""Write H.264 by PyAV, with time stamps and the sound of another file."""

import heapq
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from dff.files import write_atomically

from .encoders import Encoder

PRESET = 'veryfast'  # x264's default takes longer than many networks
CLOCK = 90_000  # ticks per second, as usual for video
FRAGMENT = 1.0  # seconds of video that a killed run may lose, and the encoder's delay
# A file of fragments can be played while it is written.
FRAGMENTED = dict(
    movflags='frag_keyframe+empty_moov+default_base_moof', flush_packets='1'
)
BT709 = 1  # code of H.264 for the colours of HD video


class H264Video(Encoder):
    """H.264 (4:2:0, 8 bit, BT.709) by PyAV, which every browser plays.

    Args:
        partial: See `Encoder`.
        fps: Frames per second of frames without a time.
        crf: Constant rate factor of x264, 0 (lossless) to 51.
        sound: Video whose sound is copied, or None.
    """

    def __init__(
        self, partial: Path, *, fps: float, crf: int, sound: str | None
    ) -> None:
        super().__init__(partial)
        import av

        self._av = av
        self.fps, self.crf, self.sound = fps, crf, sound
        self._container: Any = None
        self._stream: Any = None
        self._first = self._last = -1  # ticks of the first and the last frame

    def write(self, image: np.ndarray, time: float | None) -> None:
        """See `Encoder`."""
        if self._container is None:
            self._open(image.shape[:2])
        frame = self._av.VideoFrame.from_ndarray(image, format='bgr24')
        frame = frame.reformat(
            format='yuv420p', dst_colorspace='ITU709', dst_color_range='MPEG'
        )
        seconds = self.count / self.fps if time is None else time
        self._last = max(self._last + 1, round(seconds * CLOCK))
        if self.count == 0:
            self._first = self._last
        frame.pts, frame.time_base = self._last, Fraction(1, CLOCK)
        self._container.mux(self._stream.encode(frame))
        self.count += 1

    def close(self) -> None:
        """See `Encoder`."""
        if self._container is not None:
            container, self._container = self._container, None
            container.mux(self._stream.encode())
            container.close()

    def finish(self, path: Path) -> None:
        """See `Encoder`."""
        self.close()
        with write_atomically(path) as temporary:
            self._remux(temporary)
            with self._av.open(str(temporary)) as written:
                self._check_count(path, written.streams.video[0].frames)
        self.partial.unlink()

    def _open(self, size: tuple[int, int]) -> None:
        self._container = self._av.open(
            str(self.partial), 'w', format='mp4', options=FRAGMENTED
        )
        rate = Fraction(self.fps).limit_denominator(1001)
        stream = self._stream = self._container.add_stream('libx264', rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = 'yuv420p'
        stream.options = dict(crf=str(self.crf), preset=PRESET)
        context = stream.codec_context
        context.time_base = Fraction(1, CLOCK)
        context.gop_size = max(1, round(FRAGMENT * self.fps))
        context.color_range = 1  # 16 to 235
        context.colorspace = context.color_primaries = context.color_trc = BT709

    def _remux(self, path: Path) -> None:
        """Copy the pictures, and the sound, to a file with its index at the start."""
        with (
            self._av.open(str(self.partial)) as pictures,
            self._av.open(str(path), 'w', options=dict(movflags='faststart')) as out,
        ):
            source: Any = pictures.streams.video[0]
            target = out.add_stream_from_template(source)
            # a file of fragments is late by the frames that the encoder holds back
            late = float(source.start_time * source.time_base) - self._first / CLOCK
            streams = [_copy(pictures, source, target, start=late)]
            end = float((self._last + 1) / CLOCK + 1 / self.fps)
            with _open_sound(self._av, self.sound, out) as sound:
                if sound is not None:
                    audio = sound.streams.audio[0]
                    target = out.add_stream_from_template(audio)
                    start = (sound.start_time or 0) / self._av.time_base
                    streams.append(_copy(sound, audio, target, start=start, end=end))
                for _, _, packet in heapq.merge(*streams, key=lambda item: item[0]):
                    out.mux(packet)


def _copy(
    container: Any,
    source: Any,
    target: Any,
    *,
    start: float = 0.0,
    end: float = float('inf'),
) -> Iterator[tuple[float, int, Any]]:
    """Yield (seconds, index, packet) of a stream, bound for another file."""
    shift = round(start / source.time_base)
    for index, packet in enumerate(container.demux(source)):
        if packet.dts is None:
            continue
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
        seconds = float(packet.dts * source.time_base)
        if seconds >= end:
            break
        packet.stream = target
        yield seconds, index, packet


def _open_sound(av: Any, path: str | None, out: Any) -> AbstractContextManager[Any]:
    """Open a video whose sound an MP4 can hold as it is; a context of None if not."""
    if path is None:
        return nullcontext()
    try:
        container = av.open(path)
    except av.error.FFmpegError as error:
        _warn(f'{path} cannot be opened for its sound: {error}')
        return nullcontext()
    if container.streams.audio:
        codec = container.streams.audio[0].codec_context.codec.canonical_name
        if codec in out.supported_codecs:
            return container
        _warn(f'an MP4 cannot hold {codec}, the sound of {path}: it is left out')
    container.close()
    return nullcontext()


def _warn(message: str) -> None:
    print_log(message, 'current', logging.WARNING)
