"""Read frames from image files or arrays."""

import re
import threading
from collections.abc import Generator, Iterable, Iterator, Sized
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .frame import Damage, Frame
from .read_ahead import AHEAD, read_ahead
from .source import FrameSource

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.tif', '.tiff', '.webp')


class ImageFiles(FrameSource):
    """Image files in natural order (2.png before 10.png), decoded a few frames ahead.

    Args:
        paths: The files.
        name: Name of the source, for messages and outputs.
        options: `part` and `on_damage` of `FrameSource`.

    Raises:
        ValueError: While iterating, if a file does not exist or is not a readable image
            and `on_damage` is 'raise', or no file is.
    """

    def __init__(
        self, paths: Iterable[str | Path], *, name: str, **options: Any
    ) -> None:
        super().__init__(name, **options)
        self.paths = sorted((str(path) for path in paths), key=_natural_key)
        self.count = self.part.count(len(self.paths))

    def _read(self) -> Iterator[Frame | Damage]:
        with closing(read_ahead(self._decode, size=AHEAD)) as items:
            yield from items

    def _decode(self, stop: threading.Event) -> Generator[Frame | Damage, None, None]:
        is_gap = False
        for number in range(len(self.paths))[self.part.slice]:
            path = self.paths[number]
            image = cv2.imread(path, cv2.IMREAD_COLOR) if Path(path).is_file() else None
            if image is None:
                what = 'cannot be read as an image'
                if not Path(path).is_file():
                    what = 'does not exist'
                yield Damage(number, None, f'{path} {what}')
            else:
                index = self.part.index(number)
                yield Frame(image, path, index=index, starts_anew=is_gap)
            is_gap = image is None


class Arrays(FrameSource):
    """Frames from an iterable of BGR uint8 arrays (H, W, 3).

    Args:
        images: The arrays.
        options: `part` of `FrameSource`.

    Raises:
        TypeError: While iterating, if a frame is not an array.
        ValueError: While iterating, if an array has another type or shape, or there is
            no frame.
    """

    def __init__(self, images: Iterable[np.ndarray], **options: Any) -> None:
        super().__init__('frames', **options)
        self.images = images
        total = len(images) if isinstance(images, Sized) else None
        self.count = self.part.count(total)

    def _read(self) -> Iterator[Frame | Damage]:
        number = -1
        for number, image in enumerate(islice(self.images, self.part.stop)):
            if number in self.part:
                _check_array(image, number)
                yield Frame(image, None, index=self.part.index(number))
        if number < 0:
            raise ValueError('the iterable of frames is empty')


def _check_array(image: np.ndarray, number: int) -> None:
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f'frame {number} must be a BGR uint8 array (H, W, 3), got '
            f'{type(image).__name__}'
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f'frame {number} must be a BGR uint8 array (H, W, 3), got '
            f'{image.dtype} {image.shape}'
        )
    if not image.size:
        raise ValueError(f'frame {number} is empty: {image.shape}')


def _natural_key(path: str) -> list:
    """Return a sort key that compares runs of digits as numbers."""
    parts = re.split(r'(\d+)', path)
    return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]
