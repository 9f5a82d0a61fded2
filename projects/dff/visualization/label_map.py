"""Blend the colours of label maps over images with OpenCV."""

from collections.abc import Sequence

import cv2
import numpy as np

COLORS = 256  # entries of a look-up table for bytes


def blend_labels(
    image: np.ndarray,
    labels: np.ndarray,
    palette: Sequence[Sequence[int]],
    *,
    opacity: float,
) -> np.ndarray:
    """Blend the colours of labels over an image.

    Args:
        image: (H, W, 3) BGR uint8.
        labels: (H, W) whole numbers; those without a colour, such as 255, are black.
        palette: RGB colours.
        opacity: Of the colours, 0 to 1.

    Returns:
        (H, W, 3) BGR uint8.

    Raises:
        ValueError: If image and labels differ in size.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(
            f'labels must have the size of the image {image.shape[:2]}, got '
            f'{labels.shape}'
        )
    colors = np.asarray(palette, np.uint8)[:, ::-1]
    if len(colors) < COLORS:
        table = np.zeros((COLORS, 1, 3), np.uint8)
        table[: len(colors), 0] = colors
        known = labels
        if known.dtype != np.uint8:
            known = np.where((labels < 0) | (labels >= COLORS), COLORS - 1, labels)
            known = known.astype(np.uint8)
        color = cv2.LUT(cv2.merge([known] * 3), table)
    else:
        is_known = (labels >= 0) & (labels < len(colors))
        color = np.where(is_known[..., None], colors[labels * is_known], 0)
        color = color.astype(np.uint8)
    return cv2.addWeighted(image, 1 - opacity, color, opacity, 0)
