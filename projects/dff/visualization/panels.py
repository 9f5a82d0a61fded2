"""Grids of captioned panels, and the colours of maps.

Images are BGR uint8 (H, W, 3), as OpenCV reads and writes them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib import colormaps

from .caption import FONT, KEY_COLOR, TEXT_COLOR
from .flow import flow_to_color

LINE = 15  # pixels of a line of text
GAP = 4  # pixels between panels
TEXT_SCALE = 0.4  # of OpenCV's font, where the line fits
PICTURE_SUFFIXES = ('.png', '.jpg', '.jpeg')
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Panel:
    """One picture of a grid and the lines above it.

    Attributes:
        image: (h, w, 3).
        lines: Text, one entry a line.
        is_key: Whether the text has the colour of key frames.
    """

    image: np.ndarray
    lines: Sequence[str] = ()
    is_key: bool = False


def panel_grid(rows: Sequence[Sequence[Panel | None]]) -> np.ndarray:
    """Put panels of one size (h, w) below and beside each other, on black.

    Each has a strip above it for as many lines as the longest caption has. Panel
    (r, c) begins at y = r (strip + h + GAP) + strip, x = c (w + GAP), with a strip of
    LINE pixels a line.

    Args:
        rows: Rows of equal length; None leaves a place empty.

    Returns:
        The grid; nothing on it but the panels, text and black.

    Raises:
        ValueError: If rows differ in length or panels in size, or there is none.
    """
    panels = [panel for row in rows for panel in row if panel is not None]
    sizes = sorted({panel.image.shape for panel in panels})
    if len(sizes) != 1 or len({len(row) for row in rows}) != 1:
        raise ValueError(
            'a grid needs rows of one length and panels of one size, got '
            f'{[len(row) for row in rows]} and {sizes}'
        )
    height, width = sizes[0][:2]
    strip = LINE * max(len(panel.lines) for panel in panels)
    pitch = (strip + height + GAP, width + GAP)
    total = (len(rows) * pitch[0] - GAP, len(rows[0]) * pitch[1] - GAP, 3)
    grid = np.zeros(total, np.uint8)
    for r, row in enumerate(rows):
        for c, panel in enumerate(row):
            if panel is not None:
                part = grid[r * pitch[0] :, c * pitch[1] :][: strip + height, :width]
                part[strip:] = panel.image
                _write(part[:strip], panel)
    return grid


def heat_map(
    values: np.ndarray, *, low: float, high: float, name: str = 'viridis'
) -> np.ndarray:
    """Colour a map (h, w) by one of matplotlib's colour maps.

    Args:
        values: Those outside ``low`` to ``high`` get the colours of the ends.
        low: Value of the first colour.
        high: Value of the last one.
        name: Of the colour map.
    """
    place = (values - low) / max(high - low, np.finfo(np.float32).tiny)
    color = colormaps[name](np.clip(place, 0, 1), bytes=True)  # (h, w, 4) RGB and alpha
    return np.ascontiguousarray(color[..., 2::-1])


def map_to_panel(
    colors: np.ndarray, size: tuple[int, int], *, reach: tuple[float, float]
) -> np.ndarray:
    """Lay the cells of a coloured map (h, w, 3) where they are in the frame.

    Args:
        colors: One colour a cell.
        size: (H, W) of the panel.
        reach: Height and width that the cells cover, in those of the frame. What lies
            past its border is cut; what they do not cover is black.
    """
    full = [max(1, round(s * r)) for s, r in zip(size, reach, strict=True)]
    image = cv2.resize(colors, full[::-1], interpolation=cv2.INTER_NEAREST)
    panel = np.zeros((*size, 3), np.uint8)
    part = image[: size[0], : size[1]]
    panel[: part.shape[0], : part.shape[1]] = part
    return panel


def fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring an image to a size (H, W); one that has it stays as it is."""
    if image.shape[:2] == tuple(size):
        return image
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def color_bar(size: tuple[int, int], *, name: str = 'viridis') -> np.ndarray:
    """Draw a colour map from left to right, a bar across a black panel (H, W)."""
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    line = heat_map(np.linspace(0, 1, width)[None], low=0, high=1, name=name)
    middle, half = height // 2, max(1, height // 12)
    image[max(0, middle - half) : middle + half] = line
    return image


def flow_key(size: tuple[int, int], *, max_norm: float) -> np.ndarray:
    """Draw the colour wheel of flows up to ``max_norm`` as a disc on black."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    flow = np.stack([x - (width - 1) / 2, y - (height - 1) / 2], axis=-1)
    flow *= max_norm / (0.45 * min(size))
    flow[np.linalg.norm(flow, axis=2) > max_norm] = np.nan
    return flow_to_color(flow, max_norm=max_norm)


def check_picture_path(path: str | os.PathLike) -> None:
    """Raise a ValueError if a file name has none of the suffixes of pictures."""
    if Path(path).suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(f'{path} must end in one of {" ".join(PICTURE_SUFFIXES)}')


def write_picture(image: np.ndarray, path: str | os.PathLike) -> None:
    """Write a PNG or JPEG file.

    Raises:
        OSError: If that fails.
    """
    is_png = Path(path).suffix.lower() == '.png'
    options = [] if is_png else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    if not cv2.imwrite(str(path), image, options):
        raise OSError(f'{path} cannot be written')


def _write(strip: np.ndarray, panel: Panel) -> None:
    """Write the lines of a panel, smaller where they are too long for its width."""
    color = KEY_COLOR if panel.is_key else TEXT_COLOR
    canvas = np.ascontiguousarray(strip)
    for index, line in enumerate(panel.lines):
        (length, _), _ = cv2.getTextSize(line, FONT, TEXT_SCALE, 1)
        scale = TEXT_SCALE * min(1, (strip.shape[1] - 4) / max(1, length))
        where = (2, (index + 1) * LINE - 4)
        cv2.putText(canvas, line, where, FONT, scale, color, 1, cv2.LINE_AA)
    strip[:] = canvas
