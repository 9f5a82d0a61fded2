"""Dense SIFT: one descriptor for every pixel of an image.

Shapes: H, W image; D = 128 x number of cell sizes, the descriptor.
"""

from collections.abc import Sequence

import cv2
import numpy as np

ORIENTATIONS = 8
CELLS = 4  # a descriptor is 4 x 4 cells
SHARPNESS = 9  # released SIFT flow: cos(angle to the bin's centre) ** 9
FLAT = 0.01  # released SIFT flow: added to the norm, images being 0..1


def dense_sift(image: np.ndarray, cell_sizes: Sequence[int] = (3,)) -> np.ndarray:
    """Describe every pixel by the orientations of the gradients around it.

    Beyond the border the image goes on with its last pixel, that is, without gradient.

    Differs from the released code: the cells lie evenly around the pixel (there half
    a cell further right and down), so that no edge of a motion is drawn to one side.

    Args:
        image: (H, W, 3) or (H, W) uint8. Of several channels the one with the
            strongest gradient counts, pixel by pixel.
        cell_sizes: sides of a cell in pixels; the descriptors of several sizes
            follow each other.

    Returns:
        (H, W, D) uint8: 4 x 4 cells, y before x, of 8 orientations, scaled to a norm
        of 255 and rounded down.
    """
    border = CELLS // 2 * max(cell_sizes) + 1  # one for the gradient
    padded = cv2.copyMakeBorder(image, *[border] * 4, cv2.BORDER_REPLICATE)
    bands = _orientation_bands(*_strongest_gradient(padded))
    parts = []
    for size in cell_sizes:
        spare = border - CELLS // 2 * size
        inner = bands[spare : len(bands) - spare, spare : bands.shape[1] - spare]
        parts.append(_normalised_cells(_pool(inner, size), size, image.shape[:2]))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _strongest_gradient(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return d/dx and d/dy (H, W) of the steepest channel, the image being 0..1."""
    unit = 1 / (8 * 255)  # Sobel's weights add up to 8
    dx, dy = (
        cv2.Sobel(image, cv2.CV_32F, *order, ksize=3, scale=unit).reshape(
            *image.shape[:2], -1
        )
        for order in ((1, 0), (0, 1))
    )
    steepest = np.argmax(dx * dx + dy * dy, axis=2, keepdims=True)
    dx, dy = (np.take_along_axis(d, steepest, 2)[..., 0] for d in (dx, dy))
    return dx, dy


def _orientation_bands(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Share out the gradient among the orientations, (H, W, 8)."""
    length = np.hypot(dx, dy)
    safe = np.where(length > 0, length, 1)
    bands = np.empty((*dx.shape, ORIENTATIONS), np.float32)
    for k in range(ORIENTATIONS):
        angle = 2 * np.pi * k / ORIENTATIONS
        along = dx * np.float32(np.cos(angle)) + dy * np.float32(np.sin(angle))
        bands[..., k] = length * np.maximum(along / safe, 0) ** SHARPNESS
    return bands


def _pool(bands: np.ndarray, size: int) -> np.ndarray:
    """Sum each band over the cell that begins at a pixel.

    A cell spans size + 1 pixels a side, the outer two by half as they are shared with
    its neighbours.
    """
    weights = np.ones(size + 1, np.float32)
    weights[[0, -1]] = 0.5
    return cv2.sepFilter2D(bands, -1, weights, weights, anchor=(0, 0))


def _normalised_cells(
    pooled: np.ndarray, size: int, image_size: tuple[int, int]
) -> np.ndarray:
    """Gather the cells around each pixel (border of 2 cells) and normalise."""
    height, width = image_size
    cells = [
        np.s_[y * size : y * size + height, x * size : x * size + width]
        for y in range(CELLS)
        for x in range(CELLS)
    ]
    energy = np.einsum('hwk,hwk->hw', pooled, pooled)
    norm = np.sqrt(sum(energy[cell] for cell in cells))
    factor = (255 / (norm + FLAT))[..., None]
    out = np.empty((height, width, len(cells), ORIENTATIONS), np.uint8)
    for i, cell in enumerate(cells):
        out[:, :, i] = pooled[cell] * factor
    return out.reshape(height, width, -1)
