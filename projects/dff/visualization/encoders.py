"""Write frames to a folder of JPEG files, or to an MP4 file by OpenCV.

Each encoder writes under a name of its own, the partial one, from which `finish` makes
the result. What a killed run leaves under the partial name can be played or viewed,
except for the MP4 of OpenCV, which has no index until it is closed.
"""

import os
import re
from abc import ABC, abstractmethod
from pathlib import Path

import cv2
import numpy as np

JPEG_QUALITY = 95
JPEG_NAME = re.compile(r'\d{6}\.jpg')


class Encoder(ABC):
    """Write frames under a partial name.

    Attributes:
        partial: What is written to until `finish`.
        count: Number of frames written.
    """

    def __init__(self, partial: Path) -> None:
        self.partial = partial
        self.count = 0
        partial.parent.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def write(self, image: np.ndarray, time: float | None) -> None:
        """Append an image (H, W, 3), shown at `time` seconds."""

    @abstractmethod
    def close(self) -> None:
        """Make what was written playable. More calls do nothing."""

    @abstractmethod
    def finish(self, path: Path) -> None:
        """Close, check that every frame is there, and give it its final name."""

    def _check_count(self, path: Path, found: int) -> None:
        if found != self.count:
            raise OSError(
                f'{path} holds only {found} of the {self.count} frames that were '
                f'written; see {self.partial}'
            )


class JpegFolder(Encoder):
    """Files `%06d.jpg`, numbered from 0."""

    def __init__(self, partial: Path) -> None:
        super().__init__(partial)
        for path in partial.iterdir() if partial.is_dir() else ():
            if not JPEG_NAME.fullmatch(path.name):
                raise FileExistsError(f'{partial} holds files of others: {path.name}')
            path.unlink()  # of a run that was killed
        partial.mkdir(exist_ok=True)

    def write(self, image: np.ndarray, time: float | None) -> None:
        """See `Encoder`."""
        path = self.partial / f'{self.count:06d}.jpg'
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(f'{path} cannot be written')
        self.count += 1

    def close(self) -> None:
        """Every file is complete already."""

    def finish(self, path: Path) -> None:
        """See `Encoder`."""
        self._check_count(path, sum(1 for _ in self.partial.iterdir()))
        os.replace(self.partial, path)


class Mpeg4Video(Encoder):
    """MPEG-4 part 2 by OpenCV: without sound and time stamps."""

    def __init__(self, partial: Path, *, fps: float) -> None:
        super().__init__(partial)
        self.fps = fps
        self._video: cv2.VideoWriter | None = None

    def write(self, image: np.ndarray, time: float | None) -> None:
        """See `Encoder`."""
        if self._video is None:
            code, size = cv2.VideoWriter_fourcc(*'mp4v'), image.shape[1::-1]
            self._video = cv2.VideoWriter(str(self.partial), code, self.fps, size)
            if not self._video.isOpened():
                raise OSError(f'{self.partial} cannot be written as an MP4 video')
        self._video.write(image)
        self.count += 1

    def close(self) -> None:
        """See `Encoder`."""
        if self._video is not None:
            self._video.release()

    def finish(self, path: Path) -> None:
        """See `Encoder`."""
        self.close()
        capture = cv2.VideoCapture(str(self.partial))
        found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        self._check_count(path, found)
        os.replace(self.partial, path)
