"""Write video files and folders of frames."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from dff.files import write_atomically, write_folder_atomically

VIDEO_SUFFIX = '.mp4'
DEFAULT_FPS = 25.0


class VideoWriter:
    """Write frames to an MP4 file or, without a suffix, to a folder of JPEG files.

    The result gets its name when the block ends without an error. A killed run leaves
    nothing under that name. An MP4 file of that name is replaced.

    >>> with VideoWriter('out.mp4', fps=25) as writer:
    ...     writer.write(image)

    Args:
        path: `NAME.mp4`, or a folder that is empty or does not exist.
        fps: Frames per second of the MP4.

    Raises:
        ValueError: If `path` has another suffix.
        FileExistsError: If the folder is not empty.
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
        self._temporary = Path()  # set by the first frame
        self._open_files = ExitStack()
        self._size: tuple[int, int] | None = None
        self._video: cv2.VideoWriter | None = None

    def write(self, image: np.ndarray) -> None:
        """Append a frame.

        Args:
            image: (H, W, 3) BGR uint8. An MP4 has even sides: the last row or column
                is repeated where a side is odd.

        Raises:
            ValueError: If an MP4 gets a frame of another size than its first one.
            OSError: If the frame cannot be written.
        """
        if self.count == 0:
            self._size = image.shape[:2]
            write = write_folder_atomically if self.is_folder else write_atomically
            self._temporary = self._open_files.enter_context(write(self.path))
        if self.is_folder:
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
        if error is not None:
            self._open_files.__exit__(kind, error, trace)
            return
        with self._open_files:
            self._check_frames()

    def _write_image(self, image: np.ndarray) -> None:
        path = self._temporary / f'{self.count:06d}.jpg'
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
            self._video = cv2.VideoWriter(str(self._temporary), code, self.fps, size)
            if not self._video.isOpened():
                raise OSError(f'{self.path} cannot be written as an MP4 video')
        self._video.write(image)

    def _check_frames(self) -> None:
        """Check that the output holds every frame that was written."""
        if self.count == 0:
            raise ValueError(f'no frame was written to {self.path}')
        if self.is_folder:
            num_frames = sum(1 for _ in self._temporary.iterdir())
        else:
            capture = cv2.VideoCapture(str(self._temporary))
            num_frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            capture.release()
        if num_frames != self.count:
            raise OSError(
                f'{self.path} holds only {num_frames} of the {self.count} frames that '
                'were written'
            )
