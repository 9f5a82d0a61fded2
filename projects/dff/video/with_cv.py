"""Decode videos and cameras with OpenCV, which does not say what is damaged."""

from collections.abc import Iterator

import cv2

from .frame import EVERYTHING, Damage, Frame, Part

COUNT_TOLERANCE = 0.01  # the length of a file without an index is an estimate


class CvVideo:
    """A video, camera or address that is open for one reading.

    Args:
        source: Path, address or camera index.

    Attributes:
        fps: Frames per second; None if unknown.
        count: Number of frames that the container states; None if it states none.
        is_endless: Whether the source has no known length.

    Raises:
        ValueError: If the source cannot be opened.
    """

    def __init__(self, source: str | int) -> None:
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise ValueError('OpenCV cannot open it')
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else None
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.is_endless = isinstance(source, int) or count <= 0
        self.count = None if self.is_endless else count

    def close(self) -> None:
        """Close the file, the camera or the connection."""
        self._capture.release()

    def read(self, part: Part = EVERYTHING) -> Iterator[Frame | Damage]:
        """Yield the frames of a part; what is missing at the end may be damaged."""
        number = 0
        while not part.is_over(number) and self._capture.grab():
            if number in part:
                is_read, image = self._capture.retrieve()
                if not is_read:
                    break
                yield Frame(image, index=part.index(number))
            number += 1
        if not part.is_over(number) and self.count is not None:
            missing = self.count - number
            if missing > max(1, COUNT_TOLERANCE * self.count):
                reason = (
                    f'OpenCV stops here and the file promises {self.count} frames; it '
                    'is cut off or damaged, or its promise is wrong (PyAV can tell: '
                    "pip install 'dff[video]')"
                )
                yield Damage(number, None, reason)
