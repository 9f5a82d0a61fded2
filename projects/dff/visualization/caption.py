"""Write captions and legends on images, and put images side by side.

Images are BGR uint8 (H, W, 3), as OpenCV reads and writes them.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

KEY_COLOR = (0, 200, 255)  # BGR amber
TEXT_COLOR = (255, 255, 255)
SWATCH = 1.2  # side of a colour square in the legend, in heights of a letter
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_caption(image: np.ndarray, text: str, *, is_key: bool = False) -> np.ndarray:
    """Write a line of text at the top left of a copy of an image.

    Args:
        image: (H, W, 3) BGR uint8.
        text: The line.
        is_key: Whether to draw an amber border, the mark of key frames.
    """
    image = image.copy()
    height = image.shape[0]
    if is_key:
        border = max(2, round(0.008 * min(image.shape[:2])))
        for side in (np.s_[:border], np.s_[-border:]):
            image[side] = image[:, side] = KEY_COLOR
    font, thickness = FONT, max(1, round(height / 480))
    size, base = cv2.getTextSize(text, font, height / 720, thickness)
    pad = base
    cv2.rectangle(image, (0, 0), (size[0] + 2 * pad, size[1] + 2 * pad), (0, 0, 0), -1)
    color = KEY_COLOR if is_key else TEXT_COLOR
    where = (pad, size[1] + pad)
    cv2.putText(image, text, where, font, height / 720, color, thickness, cv2.LINE_AA)
    return image


def side_by_side(
    left: np.ndarray, right: np.ndarray, *, titles: tuple[str, str] | None = None
) -> np.ndarray:
    """Put two images (H, W, 3) next to each other.

    Args:
        left: (H, W, 3).
        right: (H, W, 3).
        titles: Captions of both images, or None.

    Returns:
        (H, 2 W, 3).

    Raises:
        ValueError: If the images differ in size.
    """
    if left.shape != right.shape:
        raise ValueError(
            f'both images must have the same size, got {left.shape} and {right.shape}'
        )
    if titles is not None:
        left, right = draw_caption(left, titles[0]), draw_caption(right, titles[1])
    return np.concatenate([left, right], axis=1)


def draw_legend(
    image: np.ndarray, classes: Sequence[str], palette: Sequence[Sequence[int]]
) -> np.ndarray:
    """Write the classes with their colours below an image.

    Args:
        image: (H, W, 3).
        classes: Names, in the order of the labels.
        palette: RGB colour of each class, as in MMSegmentation's data sets.

    Returns:
        The image with a strip below it, (H + h, W, 3).
    """
    colors = tuple(tuple(int(c) for c in color) for color in palette)
    return np.concatenate([image, _legend(image.shape[:2], tuple(classes), colors)])


@lru_cache(maxsize=8)  # a video has one
def _legend(
    size: tuple[int, int],
    classes: tuple[str, ...],
    palette: tuple[tuple[int, ...], ...],
) -> np.ndarray:
    """Draw the strip (h, W, 3) below an image of a size (H, W)."""
    height, width = size
    scale, thickness = max(0.4, height / 1000), max(1, height // 700)
    (_, letter), base = cv2.getTextSize('Ag', FONT, scale, thickness)
    side, row = round(SWATCH * letter), round(2 * letter + base)
    positions, x, y = [], base, 0
    for name in classes:
        (length, _), _ = cv2.getTextSize(name, FONT, scale, thickness)
        needed = side + base + length + 3 * base
        if x > base and x + needed > width:
            x, y = base, y + row
        positions.append((x, y))
        x += needed
    strip = np.zeros((y + row, width, 3), np.uint8)
    for (x, y), name, color in zip(positions, classes, palette, strict=True):
        top = y + (row - side) // 2
        cv2.rectangle(strip, (x, top), (x + side, top + side), color[::-1], -1)
        where = (x + side + base, top + (side + letter) // 2)
        cv2.putText(strip, name, where, FONT, scale, TEXT_COLOR, thickness, cv2.LINE_AA)
    strip.setflags(write=False)  # it is kept
    return strip
