"""Frames handed to an inferencer one at a time."""

from collections.abc import Iterator

import numpy as np
from mmengine.structures import BaseDataElement

from .inferencer import VideoInferencer


class OneByOne:
    """Run a model on a video whose frames are handed in one at a time.

    >>> predict = OneByOne(VideoInferencer('CONFIG.py', 'CHECKPOINT.pth'))
    >>> sample = predict(image)

    Args:
        inferencer: Of the model; the frames are one video of it.
    """

    def __init__(self, inferencer: VideoInferencer) -> None:
        self._next: list[np.ndarray] = []
        self._results = inferencer(self._frames())

    def __call__(self, image: np.ndarray) -> BaseDataElement:
        """Predict the next frame, BGR uint8 (H, W, 3)."""
        self._next.append(image)
        return next(self._results)

    def _frames(self) -> Iterator[np.ndarray]:
        while True:
            yield self._next.pop()
