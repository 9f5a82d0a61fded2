"""Geometric augmentation and random crops of frame pairs with known flow.

Shapes: H, W source; h, w crop. Flows are (H, W, 2) or (h, w, 2), x and y in pixels, NaN
where they are unknown. Matrices are 3 x 3 and map (x, y, 1) of the source to the crop.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .photometric import ColourJitter

MAX_DRAWS = 50
BOUNDARY = 1.0  # pixels; neighbours that differ by more belong to two objects


@dataclass(frozen=True)
class FlowGeometry:
    """Draw a large motion of both frames of a pair and a small one between them.

    The ranges are those of FlowNet (Dosovitskiy et al., ICCV 2015, Sec. 4.3). That
    paper has no numbers for the relative motion. Motions are drawn anew until the crop
    lies inside both frames, so that no pixel has to be filled in.

    Attributes:
        translation: Largest shift, a fraction of the width; it positions the crop.
        rotation: Largest turn, degrees.
        scale: Range of the zoom.
        relative_translation: Largest shift of ``key`` alone, a fraction of the width.
        relative_rotation: Largest turn of ``key`` alone, degrees.
        relative_scale: Largest zoom of ``key`` alone, as a logarithm.
    """

    translation: float = 0.2
    rotation: float = 17.0
    scale: tuple[float, float] = (0.9, 2.0)
    relative_translation: float = 0.03
    relative_rotation: float = 1.7
    relative_scale: float = 0.03

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: If a range is invalid.
        """
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f'scale must be 0 < low <= high, got {self.scale}')
        for name in ('translation', 'rotation'):
            for option in (name, f'relative_{name}'):
                if getattr(self, option) < 0:
                    raise ValueError(
                        f'{option} must be >= 0, got {getattr(self, option)}'
                    )

    def draw(
        self, size: tuple[int, int], crop_size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the matrices of ``cur`` and ``key`` from numpy's global generator.

        Args:
            size: (H, W).
            crop_size: (h, w).

        Returns:
            Two matrices. If no crop lies inside both frames after ``MAX_DRAWS`` draws,
            they are those of the central crop, with the frame enlarged if it is
            smaller than the crop.
        """
        uniform = np.random.uniform
        middle, crop_middle = _middle(size), _middle(crop_size)
        for _ in range(MAX_DRAWS):
            shift = uniform(-1, 1, 2) * self.translation * size[1]
            turn, zoom = uniform(-1, 1) * self.rotation, uniform(*self.scale)
            cur = similarity(middle + shift, crop_middle, turn=turn, zoom=zoom)
            shift = uniform(-1, 1, 2) * self.relative_translation * size[1]
            turn = uniform(-1, 1) * self.relative_rotation
            zoom = np.exp(uniform(-1, 1) * self.relative_scale)
            between = similarity(crop_middle, crop_middle + shift, turn=turn, zoom=zoom)
            key = between @ cur
            if _is_inside(cur, size, crop_size) and _is_inside(key, size, crop_size):
                return cur, key
        grow = [(c - 1) / max(s - 1, 1) for c, s in zip(crop_size, size, strict=True)]
        zoom = max(1, *grow)
        central = similarity(middle, crop_middle, turn=0, zoom=zoom)
        return central, central


class FlowAugmentation:
    """Crop, move and recolour a pair at random, with exact flow.

    Args:
        crop_size: (h, w) of the result.
        geometry: Arguments of :class:`FlowGeometry`.
        colour: Arguments of :class:`ColourJitter`; None does not change the colours.

    Raises:
        ValueError: If an option is invalid.
    """

    def __init__(
        self,
        crop_size: tuple[int, int],
        *,
        geometry: dict | None = None,
        colour: dict | None = None,
    ) -> None:
        if len(crop_size) != 2 or min(crop_size) < 1:
            raise ValueError(f'crop_size must be positive (h, w), got {crop_size}')
        self.crop_size = (crop_size[0], crop_size[1])
        self.geometry = FlowGeometry(**(geometry or {}))
        self.colour = None if colour is None else ColourJitter(**colour)

    def __call__(
        self, cur: np.ndarray, key: np.ndarray, flow: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Augment a pair.

        Args:
            cur: (H, W, 3) uint8.
            key: (H, W, 3) uint8.
            flow: (H, W, 2) from ``cur`` to ``key``.

        Returns:
            Current frame (h, w, 3), key frame (h, w, 3) and flow (h, w, 2).
        """
        matrices = self.geometry.draw(flow.shape[:2], self.crop_size)
        cur, key = (
            cv2.warpAffine(
                image,
                matrix[:2],
                self.crop_size[::-1],
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for image, matrix in zip((cur, key), matrices, strict=True)
        )
        flow = move_flow(flow, *matrices, self.crop_size)
        if self.colour is not None:
            cur, key = self.colour(cur, key)
        return cur, key, flow


def similarity(
    start: np.ndarray, end: np.ndarray, *, turn: float, zoom: float
) -> np.ndarray:
    """Return the matrix of a turn (degrees) and zoom about `start`, moved to `end`."""
    angle = np.deg2rad(turn)
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    matrix[:2, 2] = end - matrix[:2, :2] @ start
    return matrix


def move_flow(
    flow: np.ndarray, cur: np.ndarray, key: np.ndarray, crop_size: tuple[int, int]
) -> np.ndarray:
    """Return the flow between two frames after a motion of each.

    A pixel p of the crop shows s = cur^-1 p of its source, which is at s + flow(s) in
    the other frame, and so at key (s + flow(s)) in the other crop.

    Args:
        flow: (H, W, 2).
        cur: Matrix (3, 3) of the frame that the flow lives on.
        key: Matrix (3, 3) of the frame that it points into.
        crop_size: (h, w).

    Returns:
        (h, w, 2) float32; NaN where the flow is unknown or outside the source.
    """
    rows, columns = np.mgrid[: crop_size[0], : crop_size[1]]
    points = np.stack([columns, rows], axis=-1).astype(np.float64)  # (h, w, 2)
    source = _map(np.linalg.inv(cur), points)
    target = _map(key, source + sample_flow(flow, source))
    return (target - points).astype(np.float32)


def sample_flow(flow: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Sample a flow (H, W, 2) at points (h, w, 2), bilinearly, in double precision.

    Where neighbours differ by more than ``BOUNDARY``, the nearest value is returned,
    because the mean of two motions is the motion of neither object. Points outside the
    flow get NaN.
    """
    last = np.array(flow.shape[1::-1]) - 1  # of x and y
    slack = 1e-6  # pixels; points come from an inverted matrix
    is_inside = np.all((where >= -slack) & (where <= last + slack), axis=-1)
    where = np.clip(where, 0, last)
    low = np.floor(where).astype(int)
    high = np.minimum(low + 1, last)
    part = where - low
    taps, weights, nearest = [], [], np.round(where).astype(int)
    for y, wy in ((low, 1 - part[..., 1]), (high, part[..., 1])):
        for x, wx in ((low, 1 - part[..., 0]), (high, part[..., 0])):
            taps.append(flow[y[..., 1], x[..., 0]].astype(np.float64))
            weights.append((wy * wx)[..., None])
    # an unknown neighbour of weight 0 must not make the mean NaN
    mean = sum(
        np.where(w > 0, w * tap, 0) for w, tap in zip(weights, taps, strict=True)
    )
    spread = np.max(taps, axis=0) - np.min(taps, axis=0)
    is_boundary = (spread > BOUNDARY).any(axis=-1, keepdims=True)
    values = np.where(is_boundary, flow[nearest[..., 1], nearest[..., 0]], mean)
    return np.where(is_inside[..., None], values, np.nan)


def _middle(size: tuple[int, int]) -> np.ndarray:
    return (np.array(size[::-1]) - 1) / 2  # x, y


def _map(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def _is_inside(
    matrix: np.ndarray, size: tuple[int, int], crop_size: tuple[int, int]
) -> bool:
    """Return whether the whole crop lies inside the source."""
    height, width = crop_size[0] - 1, crop_size[1] - 1
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], float)
    source = _map(np.linalg.inv(matrix), corners)
    return bool((source >= 0).all() and (source <= np.array(size[::-1]) - 1).all())
