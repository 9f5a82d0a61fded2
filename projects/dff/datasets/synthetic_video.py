"""Seeded videos of textured shapes, with exact boxes and label maps.

Shapes move, turn, change size and occlude each other over a panning background. Every
texture moves with its shape, so that the motion is visible inside it, too. A box is the
visible extent of its shape, in pixels, right and bottom exclusive.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

SYNTHETIC_CLASSES = ('circle', 'square', 'triangle')
SEGMENTATION_CLASSES = ('background', *SYNTHETIC_CLASSES)
MIN_VISIBLE = 0.15  # visible share of its area below which a shape is ignored
SIDES = dict(circle=None, square=4, triangle=3)
PATCH = 96  # side of an object's texture, pixels


@dataclass(frozen=True)
class SyntheticFrame:
    """One frame and its ground truth.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        label_map: (H, W) uint8, index into `SEGMENTATION_CLASSES`.
        boxes: (R, 4) float32, visible extents (x1, y1, x2, y2).
        labels: (R,) int64, index into `SYNTHETIC_CLASSES`.
        instance_ids: (R,) int64, number of the shape in the video.
        is_ignored: (R,) bool, true if less than `MIN_VISIBLE` of a shape is visible.
    """

    image: np.ndarray
    label_map: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    instance_ids: np.ndarray
    is_ignored: np.ndarray


def make_texture(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    colour: np.ndarray,
    contrast: float,
) -> np.ndarray:
    """Sum smooth noise of several scales around a colour.

    Args:
        rng: Random number generator.
        size: (width, height).
        colour: BGR, 0..255.
        contrast: Standard deviation of the brightness, grey levels.

    Returns:
        (height, width, 3) uint8.
    """
    width, height = size
    noise = np.zeros((height, width), np.float32)
    for cell in (4, 8, 16, 32):  # pixels per noise cell
        grid = rng.standard_normal((height // cell + 2, width // cell + 2))
        noise += cv2.resize(
            grid.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
    noise *= contrast / noise.std()
    return np.clip(colour + noise[..., None], 0, 255).astype(np.uint8)


def _vivid_colour(rng: np.random.Generator) -> np.ndarray:
    hsv = [rng.integers(180), rng.integers(170, 256), rng.integers(150, 256)]
    pixel = np.array([[hsv]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].astype(float)


def _reflect(value: float, length: float) -> float:
    """Fold a straight path into [0, length], like a ball between two walls."""
    value = value % (2 * length)
    return min(value, 2 * length - value)


class _Shape:
    """A moving shape with a random path and texture."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.size = size
        width, height = size
        self.label = int(rng.integers(len(SYNTHETIC_CLASSES)))
        self.start = rng.uniform(0, 1, 2) * size
        heading, speed = rng.uniform(0, 2 * math.pi), rng.uniform(0.003, 0.016) * width
        self.velocity = speed * np.array([math.cos(heading), math.sin(heading)])
        self.radius = rng.uniform(0.09, 0.2) * min(width, height)
        self.pulse = rng.uniform(0, 0.3), rng.uniform(0.03, 0.12), rng.uniform(0, 6.28)
        self.angle = rng.uniform(0, 2 * math.pi), rng.uniform(-0.04, 0.04)
        colour = _vivid_colour(rng)
        self.texture = make_texture(rng, (PATCH, PATCH), colour=colour, contrast=18)
        stripes = np.arange(PATCH) // int(rng.integers(6, 14)) % 2 == 0
        self.texture[stripes] = 0.6 * self.texture[stripes]

    def pose(self, time: float) -> tuple[np.ndarray, float, float]:
        """Return centre (x, y), radius and angle at a time in frames."""
        path = self.start + self.velocity * time
        centre = np.array(
            [_reflect(p, s) for p, s in zip(path, self.size, strict=True)]
        )
        amplitude, rate, phase = self.pulse
        radius = self.radius * (1 + amplitude * math.sin(rate * time + phase))
        return centre, radius, self.angle[0] + self.angle[1] * time

    def draw(
        self, image: np.ndarray, instances: np.ndarray, *, time: float, number: int
    ) -> int:
        """Paint the shape onto `image` (H, W, 3) and `number` onto `instances` (H, W).

        Returns:
            The area of the shape in the image, in pixels, including occluded parts.
        """
        centre, radius, angle = self.pose(time)
        inside = self._covers(instances.shape, centre, radius, angle)
        # Patch pixels to image pixels: turn and scale about the patch's centre.
        zoom = 2 * radius / (PATCH - 1)
        turn = zoom * np.array(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )
        shift = centre - turn @ np.full(2, (PATCH - 1) / 2)
        warped = cv2.warpAffine(
            self.texture,
            np.column_stack([turn, shift]),
            image.shape[1::-1],
            borderMode=cv2.BORDER_REPLICATE,
        )
        image[inside] = warped[inside]
        instances[inside] = number
        return int(inside.sum())

    def _covers(
        self, shape: tuple[int, int], centre: np.ndarray, radius: float, angle: float
    ) -> np.ndarray:
        """Return a mask (H, W), bool, of the pixel centres that the shape covers."""
        height, width = shape
        x = np.arange(width) - centre[0]
        y = (np.arange(height) - centre[1])[:, None]
        sides = SIDES[SYNTHETIC_CLASSES[self.label]]
        if sides is None:
            return x**2 + y**2 <= radius**2
        # A regular polygon is the intersection of the half-planes of its sides.
        inside = np.ones(shape, bool)
        for side in range(sides):
            normal = angle + 2 * math.pi * (side + 0.5) / sides
            reach = x * math.cos(normal) + y * math.sin(normal)
            inside &= reach <= radius * math.cos(math.pi / sides)
        return inside


class SyntheticVideo:
    """A video of moving shapes. Iterate over it to get its frames."""

    def __init__(
        self,
        num_frames: int,
        *,
        size: tuple[int, int] = (320, 240),
        seed: int | tuple[int, ...] = 0,
        num_objects: int | None = None,
        speed: float = 1.0,
    ) -> None:
        """Draw the scene.

        Args:
            num_frames: Length of the video.
            size: (width, height) in pixels, at least 32 each.
            seed: Equal seeds produce equal videos.
            num_objects: Number of shapes; None draws it from 3 to 6.
            speed: At 1 a shape moves by 0.3 to 1.6 % of the width per frame; 0.5 is
                the same scene at twice the frame rate.

        Raises:
            ValueError: If a number is too small.
        """
        if num_frames < 1:
            raise ValueError(f'num_frames must be >= 1, got {num_frames}')
        if min(size) < 32:
            raise ValueError(f'size must be at least 32x32, got {size[0]}x{size[1]}')
        rng = np.random.default_rng(seed)
        if not speed > 0:
            raise ValueError(f'speed must be positive, got {speed}')
        self.num_frames = num_frames
        self.size = size
        self.speed = speed
        count = int(rng.integers(3, 7)) if num_objects is None else num_objects
        self.shapes = [_Shape(rng, size) for _ in range(count)]
        self.margin = max(8, min(size) // 8)  # pixels the background may pan
        wide = (size[0] + 2 * self.margin, size[1] + 2 * self.margin)
        grey = rng.uniform(70, 180) + rng.uniform(-15, 15, 3)  # pale, any tint
        self.background = make_texture(rng, wide, colour=grey, contrast=22)
        self.pan_start = rng.uniform(0, 2 * self.margin, 2)
        self.pan_speed = rng.uniform(-1.0, 1.0, 2)  # pixels per frame

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.num_frames

    def __iter__(self) -> Iterator[SyntheticFrame]:
        """Render one frame after another."""
        for time in range(self.num_frames):
            yield self.render(time)

    def render(self, frame: int) -> SyntheticFrame:
        """Render one frame, counted from 0."""
        time = frame * self.speed
        pan = [
            _reflect(p, 2 * self.margin) for p in self.pan_start + self.pan_speed * time
        ]
        move = np.array([[1, 0, -pan[0]], [0, 1, -pan[1]]])
        image = cv2.warpAffine(self.background, move, self.size)
        instances = np.zeros(image.shape[:2], np.int32)
        areas = [
            shape.draw(image, instances, time=time, number=number)
            for number, shape in enumerate(self.shapes, start=1)
        ]
        labels = [shape.label for shape in self.shapes]
        return _annotate(image, instances, labels, areas)


def _annotate(
    image: np.ndarray, instances: np.ndarray, labels: list[int], areas: list[int]
) -> SyntheticFrame:
    """Compute boxes and labels from the map of visible shapes (0 is background)."""
    rows = []
    label_map = np.zeros(instances.shape, np.uint8)
    for number, (label, area) in enumerate(zip(labels, areas, strict=True), start=1):
        ys, xs = np.nonzero(instances == number)
        if not len(xs):
            continue
        label_map[ys, xs] = label + 1
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        rows.append((*box, label, number, len(xs) < MIN_VISIBLE * area))
    table = np.array(rows, dtype=np.int64).reshape(-1, 7)
    return SyntheticFrame(
        image=image,
        label_map=label_map,
        boxes=table[:, :4].astype(np.float32),
        labels=table[:, 4],
        instance_ids=table[:, 5],
        is_ignored=table[:, 6].astype(bool),
    )


def rigid_shift_video(
    num_frames: int,
    *,
    step: tuple[int, int],
    size: tuple[int, int] = (320, 240),
    seed: int = 0,
    num_objects: int = 6,
) -> list[SyntheticFrame]:
    """Make a video that moves as a whole, by a whole number of pixels per frame.

    Frame t at (x, y) is frame 0 at (x - t * step[0], y - t * step[1]) wherever that
    is inside: the flow from frame i to frame k is (k - i) * step everywhere.

    Args:
        num_frames: Length of the video.
        step: Motion (x, y) of the content, pixels per frame.
        size: (width, height) of a frame.
        seed: Equal seeds produce equal videos.
        num_objects: Number of shapes in the scene. A frame may not show all of them.
    """
    travel = [(num_frames - 1) * abs(int(s)) for s in step]
    canvas_size = (size[0] + travel[0], size[1] + travel[1])
    scene = SyntheticVideo(1, size=canvas_size, seed=seed, num_objects=num_objects)
    image = cv2.warpAffine(scene.background, np.eye(2, 3), canvas_size)
    instances = np.zeros(image.shape[:2], np.int32)
    for number, shape in enumerate(scene.shapes, start=1):
        shape.draw(image, instances, time=0, number=number)
    areas = [int((instances == n + 1).sum()) for n in range(num_objects)]
    labels = [shape.label for shape in scene.shapes]
    frames = []
    for time in range(num_frames):
        x, y = (
            (t if s > 0 else 0) - time * s for t, s in zip(travel, step, strict=True)
        )
        window = slice(y, y + size[1]), slice(x, x + size[0])
        frames.append(_annotate(image[window].copy(), instances[window], labels, areas))
    return frames
