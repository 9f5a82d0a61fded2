"""Open any source of frames."""

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .frame import EVERYTHING, Part
from .images import IMAGE_SUFFIXES, Arrays, ImageFiles
from .live import LiveVideo
from .source import FrameSource, OnDamage
from .video_file import VideoFile, open_video


def open_frames(
    source: Any,
    *,
    start: int = 0,
    stop: int | None = None,
    stride: int = 1,
    on_damage: OnDamage = 'skip',
    with_vectors: bool = False,
    drop: str | None = 'auto',
    reconnect: float | None = None,
) -> FrameSource:
    """Open a source of frames without reading any frame.

    Args:
        source: Path of a video, an image or a folder of images; a glob pattern; an
            address (`rtsp://…`, `http://…`); a camera index; an iterable of BGR uint8
            arrays (H, W, 3); or a return value of this function.
        start: First frame, from 0; not for live sources, as `stop` and `stride`.
        stop: Frame before which reading ends; None is the end.
        stride: Every stride-th frame is read. `Frame.index` counts those.
        on_damage: 'skip' goes on behind what cannot be read and lists it in `damage`;
            'raise' is a ValueError.
        with_vectors: Whether frames of H.264 and MPEG-4 carry motion vectors.
        drop: For live sources: 'old' delivers the newest frame, None all frames.
            'auto' is 'old' for live sources.
        reconnect: For live sources: for how many seconds to connect again; None ends
            the source when the connection is lost.

    Returns:
        An iterable of `Frame`, with `name`, `fps`, `count`, `damage` and `skipped`.

    Raises:
        FileNotFoundError: If no file or folder matches the source.
        ModuleNotFoundError: If vectors are requested and PyAV is not installed.
        ValueError: If a folder has no image, the source cannot be opened as a video,
            or an option does not suit it. For iterating see `FrameSource`.
        TypeError: If `source` or an option has another type.
    """
    part = Part(start, stop, stride)
    options: dict[str, Any] = dict(part=part, on_damage=on_damage)
    live = dict(drop='old' if drop == 'auto' else drop, reconnect=reconnect)
    is_camera = isinstance(source, int) and not isinstance(source, bool)
    if is_camera or (isinstance(source, str) and _is_address(source)):
        return _open_live(source, options, live, with_vectors=with_vectors)
    if drop not in ('auto', None) or reconnect is not None:
        raise ValueError('drop and reconnect are for cameras and addresses only')
    if isinstance(source, FrameSource):
        if part != EVERYTHING or with_vectors:
            raise ValueError(f'{source.name} is open already: it takes no options')
        return source
    if isinstance(source, (str, Path)):
        return _open_path(str(source), options, with_vectors=with_vectors)
    if isinstance(source, Iterable) and not isinstance(source, (bytes, dict)):
        return Arrays(source, **options)
    raise TypeError(
        'a source of frames must be a path, glob pattern, address, camera index or an '
        f'iterable of arrays, got {type(source).__name__}'
    )


def _is_address(source: str) -> bool:
    return '://' in source


def _open_live(
    source: str | int, options: dict, live: dict, *, with_vectors: bool
) -> FrameSource:
    """Open a camera or an address, which may be that of a file."""
    is_camera = isinstance(source, int)
    if isinstance(source, int) and source < 0:
        raise ValueError(f'a camera index must be at least 0, got {source}')
    name = f'camera {source}' if is_camera else str(source)
    video = open_video(source, name=name, is_live=True)
    if not video.is_endless:
        video.close()
        return VideoFile(name, with_vectors=with_vectors, **options)
    if options.pop('part') != EVERYTHING or with_vectors:
        video.close()
        raise ValueError(
            f'{name} is live: start, stop, stride and with_vectors are for files only'
        )
    return LiveVideo(source, name=name, video=video, **live, **options)


def _open_path(source: str, options: dict, *, with_vectors: bool) -> FrameSource:
    path = Path(source)
    if path.is_dir():
        return _open_images(path.iterdir(), source, options)
    if path.is_file():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return ImageFiles([path], name=source, **options)
        if path.stat().st_size == 0:
            raise ValueError(f'{source} is an empty file')
        return VideoFile(source, with_vectors=with_vectors, **options)
    if glob.has_magic(source):
        paths = glob.glob(source, recursive=True)
        if not paths:
            raise FileNotFoundError(f'no file matches {source}')
        return _open_images(map(Path, paths), source, options)
    raise FileNotFoundError(f'{source} does not exist')


def _open_images(paths: Iterable[Path], name: str, options: dict) -> ImageFiles:
    images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise ValueError(f'{name} contains no image ({" ".join(IMAGE_SUFFIXES)})')
    return ImageFiles(images, name=name, **options)
