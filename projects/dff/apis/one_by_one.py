"""Run a model on a video whose frames the caller passes one at a time."""

from collections.abc import Iterator

import numpy as np
from mmengine.structures import BaseDataElement

from .inferencer import VideoInferencer


class OneByOne:
    """Run a model on a video whose frames the caller passes one at a time.

    >>> predict = OneByOne(VideoInferencer('CONFIG.py', 'CHECKPOINT.pth'))
    >>> sample = predict(image)

    Args:
        inferencer: Inferencer of the model. All frames belong to one new video.
    """

    def __init__(self, inferencer: VideoInferencer) -> None:
        self._next: list[np.ndarray] = []
        self._results = inferencer(self._frames())

    def __call__(self, image: np.ndarray) -> BaseDataElement:
        """Predict the next frame.

        Args:
            image: (H, W, 3) BGR uint8.

        Returns:
            The data sample with predictions, see `VideoInferencer`.
        """
        self._next.append(image)
        return next(self._results)

    def _frames(self) -> Iterator[np.ndarray]:
        while True:
            yield self._next.pop()
