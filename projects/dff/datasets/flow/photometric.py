"""Random colour changes and noise for frame pairs with known flow.

Images are BGR uint8 (H, W, 3). The changes are in units of 0..1.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ColourChange:
    """A change of the colours of a frame.

    The attributes are applied in this order.

    Attributes:
        colour: Factors (3,) of the channels.
        gamma: Exponent.
        brightness: Summand.
        contrast: Factor of the distance from 0.5.
    """

    colour: np.ndarray
    gamma: float = 1.0
    brightness: float = 0.0
    contrast: float = 1.0

    def apply(self, image: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        """Change an image (H, W, 3) uint8, and add noise (H, W, 3) in units of 0..1."""
        value: np.ndarray = image.astype(np.float32) / 255 * np.float32(self.colour)
        value = value.clip(0, 1) ** np.float32(self.gamma) + np.float32(self.brightness)
        value = 0.5 + (value - 0.5) * np.float32(self.contrast)
        if noise is not None:
            value = value + noise
        return np.round(value.clip(0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True)
class ColourJitter:
    """Draw a colour change of both frames of a pair, and a small one between them.

    The ranges are those of FlowNet (Dosovitskiy et al., ICCV 2015, Sec. 4.3). The
    logarithms of factors and exponents are drawn uniformly. Noise is drawn for each
    frame.

    Attributes:
        noise: Largest standard deviation of the Gaussian noise.
        brightness: Standard deviation of the summand.
        contrast: Range of the contrast minus 1.
        gamma: Range of the exponent.
        colour: Range of the factor of each channel.
        relative: Standard deviation of all of these between the frames.
    """

    noise: float = 0.04
    brightness: float = 0.2
    contrast: tuple[float, float] = (-0.8, 0.4)
    gamma: tuple[float, float] = (0.7, 1.5)
    colour: tuple[float, float] = (0.5, 2.0)
    relative: float = 0.02

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: If a range is invalid.
        """
        for name, lowest in (('gamma', 0), ('colour', 0), ('contrast', -1)):
            span = getattr(self, name)
            if not lowest < span[0] <= span[1]:
                raise ValueError(f'{name} must be {lowest} < low <= high, got {span}')
        for name in ('noise', 'brightness', 'relative'):
            if getattr(self, name) < 0:
                raise ValueError(f'{name} must be >= 0, got {getattr(self, name)}')

    def draw(self) -> tuple[ColourChange, ColourChange]:
        """Draw the changes of ``cur`` and ``key`` from numpy's global generator."""
        normal = np.random.standard_normal
        low, high = np.log(self.colour)
        cur = ColourChange(
            colour=np.exp(np.random.uniform(low, high, 3)),
            gamma=np.exp(np.random.uniform(*np.log(self.gamma))),
            brightness=self.brightness * normal(),
            contrast=1 + np.random.uniform(*self.contrast),
        )
        key = ColourChange(
            colour=cur.colour * np.exp(self.relative * normal(3)),
            gamma=cur.gamma * np.exp(self.relative * normal()),
            brightness=cur.brightness + self.relative * normal(),
            contrast=cur.contrast * np.exp(self.relative * normal()),
        )
        return cur, key

    def __call__(
        self, cur: np.ndarray, key: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change the colours of both frames, each (H, W, 3) uint8."""
        sigma = np.random.uniform(0, self.noise)
        frames = []
        for image, change in zip((cur, key), self.draw(), strict=True):
            noise = np.random.standard_normal(image.shape).astype(np.float32)
            frames.append(change.apply(image, noise * np.float32(sigma)))
        return frames[0], frames[1]
