"""Random smooth motion of a picture, and its inverse.

Shapes: H, W image. A displacement is (H, W, 2) float32, x and y in pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

INVERSION_STEPS = 20
BORDER = cv2.BORDER_REFLECT_101


@dataclass(frozen=True)
class RandomMotion:
    """Draw motions: shift, zoom, turn and stretch, and a smooth rest.

    All figures are for the largest ``amount``, 1; smaller ones scale them down.

    Attributes:
        shift: Standard deviation of the shift, a fraction of the diagonal.
        zoom: Standard deviation of the logarithm of the zoom, about a random point.
        turn: Standard deviation of the turn, radians.
        stretch: Standard deviation of the entries of the rest of the matrix.
        rest: Standard deviation of the smooth rest, a fraction of the diagonal.
        rest_cells: Cells of the smooth rest a side; fewer are smoother.
    """

    shift: float = 0.04
    zoom: float = 0.15
    turn: float = 0.04
    stretch: float = 0.03
    rest: float = 0.006
    rest_cells: int = 4

    def draw(self, size: tuple[int, int], amount: float) -> np.ndarray:
        """Draw a displacement from numpy's global generator.

        Args:
            size: (H, W).
            amount: 0 (none) to 1.
        """
        height, width = size
        diagonal = float(np.hypot(height, width))
        normal = np.random.standard_normal
        angle = amount * self.turn * normal()
        zoom = np.exp(amount * self.zoom * normal())
        turn = np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        matrix = zoom * turn + amount * self.stretch * normal((2, 2))
        centre = np.random.uniform(0.25, 0.75, 2) * (width, height)
        points = grid(size) - centre.astype(np.float32)
        moved = points @ (matrix - np.eye(2)).T.astype(np.float32)
        moved += (amount * self.shift * diagonal * normal(2)).astype(np.float32)
        cells = normal((self.rest_cells, self.rest_cells, 2)).astype(np.float32)
        rest = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
        return moved + rest * np.float32(amount * self.rest * diagonal)


def grid(size: tuple[int, int]) -> np.ndarray:
    """Give the coordinates (H, W, 2), x and y, of every pixel."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack([columns, rows], axis=-1).astype(np.float32)


def sample(
    image: np.ndarray,
    displacement: np.ndarray,
    *,
    interpolation: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    """Read ``image`` at p + displacement(p); it is mirrored beyond its borders."""
    where = grid(displacement.shape[:2]) + displacement
    return cv2.remap(image, where, None, interpolation, borderMode=BORDER)


def invert(displacement: np.ndarray) -> np.ndarray:
    """Find d' with d'(p) = -d(p + d'(p)), the way back, by fixed-point iteration.

    The result is right to some thousandths of a pixel (OpenCV interpolates in steps of
    1/32) where the way stays inside the picture and d changes by less than a pixel a
    pixel; beyond the border d is taken to go on as at the border.
    """
    points = grid(displacement.shape[:2])
    back = -displacement
    for _ in range(INVERSION_STEPS):
        where = points + back
        back = -cv2.remap(
            displacement, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return back


def move_at_random(image: Tensor, motion: RandomMotion) -> Tensor:
    """Move an image (3, H, W) uint8 by a motion of random size.

    Most are small, as between neighbouring frames.
    """
    array = image.permute(1, 2, 0).numpy()
    displacement = motion.draw(array.shape[:2], np.random.uniform() ** 2)
    moved = sample(np.ascontiguousarray(array), displacement)
    return torch.from_numpy(moved).permute(2, 0, 1).contiguous()


def draw_shape(size: tuple[int, int], *, radius: tuple[float, float]) -> np.ndarray:
    """Draw a random smooth blob.

    Args:
        size: (H, W).
        radius: Range of its mean radius, a fraction of the shorter side.

    Returns:
        Mask (H, W) uint8, 1 inside.
    """
    mean = np.random.uniform(*radius) * min(size)
    centre = np.random.uniform(0, 1, 2) * size[::-1]
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    reach = np.ones_like(angles)
    for wave in range(1, 5):
        phase = np.random.uniform(0, 2 * np.pi)
        reach += np.random.uniform(0, 0.4 / wave) * np.cos(wave * angles + phase)
    aspect = np.exp(np.random.uniform(-0.7, 0.7))
    outline = np.stack([np.cos(angles) * aspect, np.sin(angles) / aspect], axis=1)
    points = centre + mean * reach[:, None] * outline
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask
