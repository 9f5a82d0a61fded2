"""Tiny sets for video segmentation, in the layouts of the real ones."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

HEIGHT, WIDTH = 12, 20


def make_image(video: int, frame: int, size: tuple[int, int]) -> np.ndarray:
    """Frame of (height, width): 3 `video` in green, `frame` in blue, x in red."""
    image = np.zeros((*size, 3), np.uint8)
    image[..., 0], image[..., 1] = frame, 3 * video
    image[..., 2] = np.arange(size[1])
    return image


@pytest.fixture
def write_image() -> Callable[..., None]:
    """Return a function that writes an image or a map."""

    def write(path: Path, pixels: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)

    return write


@pytest.fixture
def make_seg_set(tmp_path, write_image) -> Callable[..., Path]:
    """Return a function that writes images/VIDEO/FRAME and labels/VIDEO/FRAME.

    The map of a frame holds label 1 left of column `frame` % width, else 0.
    """

    def make(
        videos: Mapping[str, Sequence[int]],
        *,
        labelled: Callable[[str, int], bool] = lambda video, frame: True,
        suffix: str = '.png',
        size: tuple[int, int] = (HEIGHT, WIDTH),
        name: str = 'seg',
    ) -> Path:
        root = tmp_path / name
        for number, (video, frames) in enumerate(videos.items()):
            for frame in frames:
                place = f'{video}/{frame:06d}'
                image = make_image(number, frame, size)
                write_image(root / 'images' / f'{place}{suffix}', image)
                if labelled(video, frame):
                    labels = np.zeros(size, np.uint8)
                    labels[:, : frame % size[1]] = 1
                    write_image(root / 'labels' / f'{place}.png', labels)
        return root

    return make


# First frames of 30 in a row. Two sequences of Aachen are numbered as all of that city
# are; Frankfurt's have several snippets in a sequence, the first two of them abutting.
SNIPPETS = (
    ('aachen', 0, 0),
    ('aachen', 1, 0),
    ('frankfurt', 0, 275),
    ('frankfurt', 0, 305),
    ('frankfurt', 0, 557),
    ('frankfurt', 1, 557),
)


@pytest.fixture
def make_cityscapes(tmp_path, write_image) -> Callable[..., Path]:
    """Return a function that writes a miniature of Cityscapes' val split.

    An image holds its place in the snippet in blue, 3 x the snippet in green. Maps
    hold the first train id from column 0 on, one a column.
    """

    def make(snippets: Sequence[tuple[str, int, int]] = SNIPPETS) -> Path:
        root = tmp_path / 'cityscapes'
        for number, (city, sequence, first) in enumerate(snippets):
            for position in range(30):
                stem = f'{city}_{sequence:06d}_{first + position:06d}'
                path = f'leftImg8bit_sequence/val/{city}/{stem}_leftImg8bit.png'
                write_image(root / path, make_image(number, position, (HEIGHT, WIDTH)))
                if position == 19:
                    ids = np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1))
                    ids[ids == 19] = 255
                    path = f'gtFine/val/{city}/{stem}_gtFine_labelTrainIds.png'
                    write_image(root / path, ids)
        return root

    return make
