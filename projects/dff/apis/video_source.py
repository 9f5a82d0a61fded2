"""Read frames one at a time from videos, image files, cameras or arrays."""

import glob
import re
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.tif', '.tiff', '.webp')
COUNT_TOLERANCE = 0.01  # the length of a file without an index is an estimate


class Frame(NamedTuple):
    """A frame: BGR uint8 image (H, W, 3), and its path if it is an image file."""

    image: np.ndarray
    path: str | None


class ImageFiles:
    """Image files in natural order (2.png before 10.png).

    Args:
        paths: The files.
        name: Name of the source, for messages and outputs.

    Raises:
        FileNotFoundError: While iterating, if a file does not exist.
        ValueError: While iterating, if a file is not a readable image.
    """

    fps = None

    def __init__(self, paths: Iterable[str | Path], *, name: str) -> None:
        self.paths = sorted((str(path) for path in paths), key=_natural_key)
        self.name = name
        self.count = len(self.paths)

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.paths):
            if not Path(path).is_file():
                raise FileNotFoundError(f'{path} (frame {index}) does not exist')
            image = cv2.imread(path, cv2.IMREAD_COLOR)
            if image is None:
                raise ValueError(f'{path} (frame {index}) cannot be read as an image')
            yield Frame(image, path)


class VideoStream:
    """A video file, a camera or a stream address, decoded by OpenCV.

    Args:
        source: Path, address or camera index.
        name: Name of the source, for messages and outputs.

    Raises:
        ValueError: If the source cannot be opened or, while iterating, a frame cannot
            be read.
    """

    def __init__(self, source: str | int, *, name: str) -> None:
        self.source = source
        self.name = name
        capture = self._open()
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else None
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if self._is_file and count > 0 else None
        capture.release()

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        index = 0
        try:
            while True:
                is_read, image = capture.read()
                if not is_read:
                    break
                yield Frame(image, None)
                index += 1
        finally:
            capture.release()
        self._check_end(index)

    @property
    def _is_file(self) -> bool:
        return isinstance(self.source, str) and '://' not in self.source

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(self.source)
        if not capture.isOpened():
            raise ValueError(f'{self.name} cannot be opened as a video')
        return capture

    def _check_end(self, index: int) -> None:
        """Check that reading stopped at the end of the video, not at a broken frame."""
        if index == 0:
            raise ValueError(f'{self.name} contains no readable frame')
        if not self._is_file:
            raise ValueError(f'{self.name}: frame {index} cannot be read')
        missing = (self.count or 0) - index
        if missing > max(1, COUNT_TOLERANCE * (self.count or 0)):
            raise ValueError(
                f'{self.name}: frame {index} of {self.count} cannot be read; the file '
                'is cut off or damaged'
            )


class Arrays:
    """Frames from an iterable of BGR uint8 arrays (H, W, 3).

    Raises:
        TypeError: While iterating, if a frame is not an array.
        ValueError: While iterating, if an array has another type or shape, or there is
            no frame.
    """

    fps = None
    name = 'frames'

    def __init__(self, images: Iterable[np.ndarray]) -> None:
        self.images = images
        self.count = len(images) if isinstance(images, Sized) else None

    def __iter__(self) -> Iterator[Frame]:
        index = -1
        for index, image in enumerate(self.images):
            if not isinstance(image, np.ndarray):
                raise TypeError(
                    f'frame {index} must be a BGR uint8 array (H, W, 3), got '
                    f'{type(image).__name__}'
                )
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                raise ValueError(
                    f'frame {index} must be a BGR uint8 array (H, W, 3), got '
                    f'{image.dtype} {image.shape}'
                )
            if not image.size:
                raise ValueError(f'frame {index} is empty: {image.shape}')
            yield Frame(image, None)
        if index < 0:
            raise ValueError('the iterable of frames is empty')


FrameSource = ImageFiles | VideoStream | Arrays


def open_frames(source: Any) -> FrameSource:
    """Open a source of frames without reading any frame.

    Args:
        source: Path of a video, an image or a folder of images; a glob pattern; an
            address (`rtsp://…`); a camera index; an iterable of BGR uint8 arrays
            (H, W, 3); or a return value of this function.

    Returns:
        An iterable of `Frame`, with `name`, `fps` and `count` (None if unknown).

    Raises:
        FileNotFoundError: If no file or folder matches the source.
        ValueError: If a folder has no image, or the source cannot be opened as a
            video. Iterating raises it for a frame that cannot be read, and names
            source and frame.
        TypeError: If `source` has another type.
    """
    if isinstance(source, FrameSource):
        return source
    if isinstance(source, int) and not isinstance(source, bool):
        if source < 0:
            raise ValueError(f'a camera index must be at least 0, got {source}')
        return VideoStream(source, name=f'camera {source}')
    if isinstance(source, (str, Path)):
        return _open_path(str(source))
    if isinstance(source, Iterable) and not isinstance(source, (bytes, dict)):
        return Arrays(source)
    raise TypeError(
        'a source of frames must be a path, glob pattern, address, camera index or an '
        f'iterable of arrays, got {type(source).__name__}'
    )


def _open_path(source: str) -> FrameSource:
    path = Path(source)
    if '://' in source:
        return VideoStream(source, name=source)
    if path.is_dir():
        return _open_images(path.iterdir(), name=source)
    if path.is_file():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return ImageFiles([path], name=source)
        if path.stat().st_size == 0:
            raise ValueError(f'{source} is an empty file')
        return VideoStream(source, name=source)
    if glob.has_magic(source):
        paths = glob.glob(source, recursive=True)
        if not paths:
            raise FileNotFoundError(f'no file matches {source}')
        return _open_images(map(Path, paths), name=source)
    raise FileNotFoundError(f'{source} does not exist')


def _open_images(paths: Iterable[Path], *, name: str) -> ImageFiles:
    images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise ValueError(f'{name} contains no image ({" ".join(IMAGE_SUFFIXES)})')
    return ImageFiles(images, name=name)


def _natural_key(path: str) -> list:
    """Return a sort key that compares runs of digits as numbers."""
    parts = re.split(r'(\d+)', path)
    return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]
