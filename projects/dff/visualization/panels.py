"""Draw grids of captioned panels, and colour maps.

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

LINE = 15  # pixels per line of text
GAP = 4  # pixels between panels
TEXT_SCALE = 0.4  # of OpenCV's font, if the line fits
PICTURE_SUFFIXES = ('.png', '.jpg', '.jpeg')
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Panel:
    """An image of a grid and the text above it.

    Attributes:
        image: (h, w, 3).
        lines: Lines of text.
        is_key: Whether the text has the colour of key frames.
    """

    image: np.ndarray
    lines: Sequence[str] = ()
    is_key: bool = False


def panel_grid(rows: Sequence[Sequence[Panel | None]]) -> np.ndarray:
    """Arrange panels of one size (h, w) in a grid on black.

    Above each panel is a strip for the lines of the longest caption, LINE pixels per
    line. Panel (r, c) begins at y = r (strip + h + GAP) + strip, x = c (w + GAP).

    Args:
        rows: Rows of equal length; None is an empty cell.

    Returns:
        The grid (H, W, 3).

    Raises:
        ValueError: If rows differ in length or panels in size, or there is no panel.
    """
    panels = [panel for row in rows for panel in row if panel is not None]
    sizes = sorted({panel.image.shape for panel in panels})
    if len(sizes) != 1 or len({len(row) for row in rows}) != 1:
        raise ValueError(
            'rows must have one length and panels one size, got '
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
                _draw_lines(part[:strip], panel)
    return grid


def heat_map(
    values: np.ndarray, *, low: float, high: float, name: str = 'viridis'
) -> np.ndarray:
    """Colour values by a colour map of Matplotlib.

    Args:
        values: (h, w). Values outside ``low`` to ``high`` are clipped.
        low: Value of the first colour.
        high: Value of the last colour.
        name: Name of the colour map.

    Returns:
        (h, w, 3) BGR uint8.
    """
    share = (values - low) / max(high - low, float(np.finfo(np.float32).tiny))
    color = colormaps[name](np.clip(share, 0, 1), bytes=True)  # (h, w, 4) RGB and alpha
    return np.ascontiguousarray(color[..., 2::-1])


def map_to_panel(
    colors: np.ndarray, size: tuple[int, int], *, reach: tuple[float, float]
) -> np.ndarray:
    """Draw the cells of a map at their positions in the frame.

    Args:
        colors: (h, w, 3), one colour per cell.
        size: (H, W) of the panel.
        reach: Height and width of all cells, as fractions of those of the frame. Cells
            beyond the border are cropped; pixels without a cell are black.

    Returns:
        (H, W, 3) BGR uint8.
    """
    full = [max(1, round(s * r)) for s, r in zip(size, reach, strict=True)]
    image = cv2.resize(colors, full[::-1], interpolation=cv2.INTER_NEAREST)
    panel = np.zeros((*size, 3), np.uint8)
    part = image[: size[0], : size[1]]
    panel[: part.shape[0], : part.shape[1]] = part
    return panel


def fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image (h, w, 3) to (H, W, 3), if it has another size."""
    if image.shape[:2] == tuple(size):
        return image
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def color_bar(size: tuple[int, int], *, name: str = 'viridis') -> np.ndarray:
    """Draw a colour map as a horizontal bar on a black panel (H, W, 3)."""
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    line = heat_map(np.linspace(0, 1, width)[None], low=0, high=1, name=name)
    middle, half = height // 2, max(1, height // 12)
    image[max(0, middle - half) : middle + half] = line
    return image


def flow_wheel(size: tuple[int, int], *, max_norm: float) -> np.ndarray:
    """Draw the colours of flow up to ``max_norm`` as a disc on black (H, W, 3)."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    flow = np.stack([x - (width - 1) / 2, y - (height - 1) / 2], axis=-1)
    flow *= max_norm / (0.45 * min(size))
    flow[np.linalg.norm(flow, axis=2) > max_norm] = np.nan
    return flow_to_color(flow, max_norm=max_norm)


def check_picture_path(path: str | os.PathLike) -> None:
    """Check the suffix of an image file.

    Raises:
        ValueError: If it is not one of `PICTURE_SUFFIXES`.
    """
    if Path(path).suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(f'{path} must end in one of {" ".join(PICTURE_SUFFIXES)}')


def write_picture(image: np.ndarray, path: str | os.PathLike) -> None:
    """Write an image (H, W, 3) to a PNG or JPEG file.

    Raises:
        OSError: If the file cannot be written.
    """
    is_png = Path(path).suffix.lower() == '.png'
    options = [] if is_png else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    if not cv2.imwrite(str(path), image, options):
        raise OSError(f'{path} cannot be written')


def _draw_lines(strip: np.ndarray, panel: Panel) -> None:
    """Draw the lines of a panel, smaller if they are too long for its width."""
    color = KEY_COLOR if panel.is_key else TEXT_COLOR
    canvas = np.ascontiguousarray(strip)
    for index, line in enumerate(panel.lines):
        (length, _), _ = cv2.getTextSize(line, FONT, TEXT_SCALE, 1)
        scale = TEXT_SCALE * min(1, (strip.shape[1] - 4) / max(1, length))
        where = (2, (index + 1) * LINE - 4)
        cv2.putText(canvas, line, where, FONT, scale, color, 1, cv2.LINE_AA)
    strip[:] = canvas
