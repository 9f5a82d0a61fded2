"""Read video files."""

import importlib.util
import logging
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import cache
from typing import Any

from mmengine.logging import print_log

from .frame import EVERYTHING, Damage, Frame
from .read_ahead import AHEAD, read_ahead
from .source import FrameSource

Items = Generator[Frame | Damage, None, None]
INSTALL = "pip install 'dff[video]'"


class VideoFile(FrameSource):
    """A video file, decoded in a thread that runs a few frames ahead.

    PyAV decodes if it is installed, else OpenCV, which knows no time stamps and does
    not say what is damaged.

    Args:
        path: Path, or the address of a file.
        with_vectors: Whether frames carry the motion vectors of H.264 and MPEG-4.
        options: `part` and `on_damage` of `FrameSource`.

    Raises:
        ModuleNotFoundError: If `with_vectors` is set and PyAV is not installed.
        ValueError: If the file cannot be opened. While iterating, see `FrameSource`.
    """

    def __init__(
        self, path: str, *, with_vectors: bool = False, **options: Any
    ) -> None:
        super().__init__(path, **options)
        self._with_vectors = with_vectors
        if self.part == EVERYTHING:
            self.sound = path
        with closing(self._open()) as video:
            self.fps = self.part.fps(video.fps)
            self.count = self.part.count(video.count)

    def _open(self) -> Any:
        return open_video(self.name, with_vectors=self._with_vectors)

    def _read(self) -> Iterator[Frame | Damage]:
        with closing(read_ahead(self._decode, size=AHEAD)) as items:
            yield from items

    def _decode(self, stop: threading.Event) -> Items:
        with closing(self._open()) as video:
            yield from video.read(self.part)


def open_video(
    source: str | int,
    *,
    name: str | None = None,
    is_live: bool = False,
    with_vectors: bool = False,
) -> Any:
    """Open a video by PyAV, or by OpenCV if it is a camera or PyAV is missing.

    Args:
        source: Path, address or camera index.
        name: Its name in messages.
        is_live: Whether to keep the delay short.
        with_vectors: Whether frames carry motion vectors.

    Returns:
        An `AvVideo` or a `CvVideo`.

    Raises:
        ModuleNotFoundError: If vectors are requested and PyAV is not installed.
        ValueError: If the source cannot be opened.
    """
    is_camera = isinstance(source, int)
    if with_vectors and (is_camera or not has_av()):
        raise ModuleNotFoundError(
            f'motion vectors need a file or address and PyAV: {INSTALL}'
        )
    try:
        if is_camera or not has_av():
            from .with_cv import CvVideo

            return CvVideo(source)
        from .with_av import AvVideo

        return AvVideo(str(source), is_live=is_live, with_vectors=with_vectors)
    except ValueError as error:
        raise ValueError(
            f'{name or source} cannot be opened as a video: {error}'
        ) from error


@cache
def has_av() -> bool:
    """Check whether PyAV is installed; say once what is missing without it."""
    if importlib.util.find_spec('av') is not None:
        return True
    print_log(
        'PyAV is not installed, so OpenCV reads and writes videos: without time stamps '
        'and motion vectors, without knowing what is damaged, and not as H.264. '
        f'{INSTALL}',
        'current',
        logging.WARNING,
    )
    return False
