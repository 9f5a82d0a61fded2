"""Read frames of a video by number."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dff.apis import open_frames


def read_frames(source: Any, numbers: Sequence[int]) -> list[np.ndarray]:
    """Read frames of a video, and no more than needed.

    Args:
        source: Path of a video or folder, or a glob pattern; see
            :func:`dff.apis.open_frames`.
        numbers: Frame numbers, from 0.

    Returns:
        The frames, BGR uint8 (H, W, 3), in the order of ``numbers``.

    Raises:
        FileNotFoundError, ValueError, TypeError: See ``open_frames``.
        ValueError: If the video has no frame of that number.
    """
    if min(numbers) < 0:
        raise ValueError(f'frame numbers must be at least 0, got {min(numbers)}')
    last, images, count = max(numbers), {}, 0
    frames = open_frames(source)
    for number, frame in enumerate(frames):
        count = number + 1
        if number in numbers:
            images[number] = frame.image
        if number == last:
            break
    if count <= last:
        raise ValueError(
            f'frame {last} is past the end of {frames.name}, which has {count} frames '
            f'(0 to {count - 1})'
        )
    return [images[number] for number in numbers]
