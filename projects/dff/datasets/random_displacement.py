"""Random smooth motion of an image, and its inverse.

Shapes: H, W image. Points and displacements are (H, W, 2) float32, x and y in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

INVERSION_STEPS = 6
BORDER = cv2.BORDER_REFLECT_101
MIN_PART = 100  # pixels; smaller parts are noise of the annotation
# Objects move much more than the background, also towards the camera.
OBJECTS = dict(shift=0.12, zoom=0.4, turn=0.1, stretch=0.05, tilt=0.1, rest=0.0)
MAX_TILT = 0.5  # keeps every point of the image in front of the camera


@dataclass(frozen=True)
class Motion:
    """A motion between two images ``cur`` and ``key``.

    Attributes:
        matrix: Homography (3, 3) from ``key`` to ``cur``, pixels.
        rest: Smooth displacement (H, W, 2) on the pixels of ``key``, added after the
            homography; or None.
    """

    matrix: np.ndarray
    rest: np.ndarray | None = None

    def to_cur(self, size: tuple[int, int]) -> np.ndarray:
        """Return the point (H, W, 2) of ``cur`` that each pixel of ``key`` shows."""
        points = cv2.perspectiveTransform(grid(size), self.matrix)
        return points if self.rest is None else points + self.rest

    def flow(self, size: tuple[int, int]) -> np.ndarray:
        """Return the flow (H, W, 2) of each pixel of ``cur`` into ``key``.

        The rest is inverted by fixed-point iteration, exact to some thousandths of a
        pixel (OpenCV interpolates in steps of 1/32). Outside the image it has the
        values of the border.
        """
        points = grid(size)
        back = np.linalg.inv(self.matrix)
        where = cv2.perspectiveTransform(points, back)
        if self.rest is not None:
            for _ in range(INVERSION_STEPS):
                rest = cv2.remap(
                    self.rest,
                    where,
                    None,
                    cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                where = cv2.perspectiveTransform(points - rest, back)
        return where - points

    def then(self, other: 'Motion') -> 'Motion':
        """Compose the homographies of this motion and the next, without the rests."""
        return Motion(self.matrix @ other.matrix)


@dataclass(frozen=True)
class RandomMotion:
    """Draw motions of shift, zoom, turn, stretch and tilt, and a smooth rest.

    All values are for an ``amount`` of 1. Smaller amounts scale them down.

    Attributes:
        shift: Standard deviation of the shift, a fraction of the diagonal.
        zoom: Standard deviation of the logarithm of the zoom, about a random point.
        turn: Standard deviation of the turn, radians.
        stretch: Standard deviation of noise added to the 2 x 2 matrix.
        tilt: Standard deviation of the change of the zoom along the diagonal.
        rest: Standard deviation of the smooth rest, a fraction of the diagonal.
        rest_cells: Random values per side of the rest; fewer are smoother.
    """

    shift: float = 0.04
    zoom: float = 0.2
    turn: float = 0.04
    stretch: float = 0.03
    tilt: float = 0.2
    rest: float = 0.006
    rest_cells: int = 4

    def draw(self, size: tuple[int, int], amount: float) -> Motion:
        """Draw a motion from numpy's global generator.

        Args:
            size: (H, W).
            amount: Amount of motion, 0 (none) to 1.
        """
        height, width = size
        diagonal = float(np.hypot(height, width))
        normal = np.random.standard_normal
        angle = amount * self.turn * normal()
        zoom = np.exp(amount * self.zoom * normal())
        turn = np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        centre = np.random.uniform(0.25, 0.75, 2) * (width, height)
        about = np.eye(3)
        about[:2, 2] = -centre
        matrix = np.eye(3)
        matrix[:2, :2] = zoom * turn + amount * self.stretch * normal((2, 2))
        matrix[:2, 2] = amount * self.shift * diagonal * normal(2)
        matrix[2, :2] = (amount * self.tilt / diagonal * normal(2)).clip(
            -MAX_TILT / diagonal, MAX_TILT / diagonal
        )
        matrix = np.linalg.inv(about) @ matrix @ about
        if not self.rest:
            return Motion(matrix)
        cells = normal((self.rest_cells, self.rest_cells, 2)).astype(np.float32)
        rest = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
        return Motion(matrix, rest * np.float32(amount * self.rest * diagonal))


@lru_cache(maxsize=8)
def grid(size: tuple[int, int]) -> np.ndarray:
    """Return the coordinates (H, W, 2), x and y, of every pixel; read-only."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    points = np.stack([columns, rows], axis=-1).astype(np.float32)
    points.flags.writeable = False
    return points


def sample(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Sample ``image`` (H, W, 3) at points (H, W, 2); mirror it outside its borders."""
    return cv2.remap(image, where, None, cv2.INTER_LINEAR, borderMode=BORDER)


def sample_inside(mask: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Sample a mask (H, W) at points (H, W, 2); 0 outside its borders."""
    return cv2.remap(mask, where, None, cv2.INTER_NEAREST, borderValue=0)


def lay_over(
    cur: np.ndarray,
    key: np.ndarray,
    piece: np.ndarray,
    *,
    mask: np.ndarray,
    motion: Motion,
) -> tuple[np.ndarray, np.ndarray]:
    """Paste an object onto ``cur``, and onto ``key`` after its motion.

    Args:
        cur: Image (H, W, 3), changed in place.
        key: Image (H, W, 3).
        piece: Image (H, W, 3) that contains the object.
        mask: (H, W) uint8, 1 on the object in ``piece`` and ``cur``.
        motion: Motion of the object.

    Returns:
        The new ``key`` (H, W, 3), and the mask (H, W), bool, of the object in it.
    """
    inside = mask.astype(bool)
    cur[inside] = piece[inside]
    where = motion.to_cur(mask.shape)
    moved = sample_inside(mask, where).astype(bool)
    return np.where(moved[..., None], sample(piece, where), key), moved


def draw_part(labels: np.ndarray, classes: Sequence[int]) -> np.ndarray | None:
    """Draw a connected part of a label map whose pixels have one of some classes.

    Args:
        labels: Label map (H, W).
        classes: Labels that the part may have.

    Returns:
        Mask (H, W) uint8, 1 inside; None if no part has ``MIN_PART`` pixels.
    """
    wanted = np.isin(labels, classes).astype(np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(wanted)
    large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= MIN_PART) + 1
    if not len(large):
        return None
    return (parts == np.random.choice(large)).astype(np.uint8)


def draw_shape(size: tuple[int, int], *, radius: tuple[float, float]) -> np.ndarray:
    """Draw a random smooth blob.

    Args:
        size: (H, W).
        radius: Range of the mean radius, a fraction of the shorter side.

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
