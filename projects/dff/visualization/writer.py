"""Video files and folders of frames, written under a temporary name."""

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

VIDEO_SUFFIX = '.mp4'
DEFAULT_FPS = 25.0


class VideoWriter:
    """Write frames to an MP4 file or, without a suffix, to a folder of JPEG files.

    Everything goes to a temporary name beside `path` and is renamed when the block
    ends without an error, so a killed run leaves nothing under the final name. An
    MP4 is replaced; a folder that holds something is refused.

    >>> with VideoWriter('out.mp4', fps=25) as writer:
    ...     writer.write(image)

    Args:
        path: `NAME.mp4`, or a folder.
        fps: frames a second of the MP4.
    """

    def __init__(self, path: str | Path, *, fps: float | None = None) -> None:
        self.path = Path(path)
        self.fps = fps or DEFAULT_FPS
        self.is_folder = self.path.suffix == '' or self.path.is_dir()
        if not self.is_folder and self.path.suffix.lower() != VIDEO_SUFFIX:
            raise ValueError(
                f'{path} must end in {VIDEO_SUFFIX}, or be a folder (no suffix)'
            )
        if self.path.is_dir() and any(self.path.iterdir()):
            raise FileExistsError(f'folder {path} is not empty')
        self.count = 0
        suffix = '' if self.is_folder else VIDEO_SUFFIX
        name = f'{self.path.stem}.partial-{os.getpid()}{suffix}'
        self._partial = self.path.absolute().with_name(name)
        self._size: tuple[int, int] | None = None
        self._video: cv2.VideoWriter | None = None

    def write(self, image: np.ndarray) -> None:
        """Append a frame; an MP4 wants all of one size, an odd side is made even."""
        if self.count == 0:
            self._size = image.shape[:2]
            self._partial.parent.mkdir(parents=True, exist_ok=True)
        if self.is_folder:
            self._partial.mkdir(exist_ok=True)
            self._write_image(image)
        else:
            self._write_video(image)
        self.count += 1

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._video is not None:
            self._video.release()
        try:
            if error is None:
                self._publish()
        finally:
            if self._partial.is_dir():
                shutil.rmtree(self._partial)
            self._partial.unlink(missing_ok=True)

    def _write_image(self, image: np.ndarray) -> None:
        path = self._partial / f'{self.count:06d}.jpg'
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95]):
            raise OSError(f'{path} cannot be written')

    def _write_video(self, image: np.ndarray) -> None:
        if image.shape[:2] != self._size:
            raise ValueError(
                f'frame {self.count} has the size {image.shape[:2]}, the video '
                f'{self.path} {self._size}: write to a folder instead'
            )
        # the codec cuts odd sides
        odd = [side % 2 for side in image.shape[:2]]
        image = np.pad(image, ((0, odd[0]), (0, odd[1]), (0, 0)), mode='edge')
        if self._video is None:
            code = cv2.VideoWriter_fourcc(*'mp4v')
            size = image.shape[1::-1]
            self._video = cv2.VideoWriter(str(self._partial), code, self.fps, size)
            if not self._video.isOpened():
                raise OSError(f'{self.path} cannot be written as an MP4 video')
        self._video.write(image)

    def _publish(self) -> None:
        """Check what was written, then give it its name."""
        if self.count == 0:
            raise ValueError(f'no frame was written to {self.path}')
        if self.is_folder:
            found: Any = sum(1 for _ in self._partial.iterdir())
            if self.path.is_dir():
                self.path.rmdir()
        else:
            capture = cv2.VideoCapture(str(self._partial))
            found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            capture.release()
        if found != self.count:
            raise OSError(f'{self.path} holds {found} of {self.count} frames written')
        os.replace(self._partial, self.path)
