"""Write video files and folders of frames."""

import logging
from pathlib import Path
from types import TracebackType

import numpy as np
from mmengine.logging import print_log

from dff.video.video_file import has_av

from .encoders import Encoder, JpegFolder, Mpeg4Video

VIDEO_SUFFIX = '.mp4'
DEFAULT_FPS = 25.0
DEFAULT_CRF = 20
HIGHEST_CRF = 51  # of x264


class VideoWriter:
    """Write frames to an MP4 file or, without a suffix, to a folder of JPEG files.

    The MP4 is H.264 for browsers if PyAV is installed, else MPEG-4 part 2. The result
    gets its name when the block ends without an error; an MP4 file of that name is
    replaced. Until then, and after an error or a kill, the frames are in
    `NAME.partial.mp4`, which can be played up to there (not without PyAV), or in the
    folder `NAME.partial`.

    >>> with VideoWriter('out.mp4', fps=25) as writer:
    ...     writer.write(image)

    Args:
        path: `NAME.mp4`, or a folder that is empty or does not exist.
        fps: Frames per second of the MP4.
        crf: Quality of H.264, 0 (lossless) to 51 (worst).
        sound: A video whose sound is copied to the MP4, or None.

    Raises:
        ValueError: If `path` has another suffix, or `crf` is out of range.
        FileExistsError: If the folder is not empty.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fps: float | None = None,
        crf: int = DEFAULT_CRF,
        sound: str | Path | None = None,
    ) -> None:
        self.path = Path(path)
        self.fps = fps or DEFAULT_FPS
        self.is_folder = self.path.suffix == '' or self.path.is_dir()
        if not self.is_folder and self.path.suffix.lower() != VIDEO_SUFFIX:
            raise ValueError(
                f'{path} must end in {VIDEO_SUFFIX}, or be a folder (no suffix)'
            )
        if not 0 <= crf <= HIGHEST_CRF:
            raise ValueError(f'crf must be in [0, {HIGHEST_CRF}], got {crf}')
        if self.path.is_dir() and any(self.path.iterdir()):
            raise FileExistsError(f'folder {path} is not empty')
        self.crf = crf
        self.sound = None if sound is None else str(sound)  # may be an address
        name = f'{self.path.stem}.partial{self.path.suffix}'
        self.partial = self.path.with_name(name)
        self._size: tuple[int, int] | None = None
        self._encoder: Encoder | None = None

    @property
    def count(self) -> int:
        """Number of frames written."""
        return 0 if self._encoder is None else self._encoder.count

    def write(self, image: np.ndarray, *, time: float | None = None) -> None:
        """Append a frame.

        Args:
            image: (H, W, 3) BGR uint8. An MP4 has even sides: the last row or column
                is repeated where a side is odd.
            time: When an MP4 shows it, in seconds; later than the frame before. None
                is the number of the frame divided by `fps`.

        Raises:
            ValueError: If an MP4 gets a frame of another size than its first one.
            OSError: If the frame cannot be written.
        """
        if self._encoder is None:
            self._size = image.shape[:2]
            self._encoder = self._start()
        if not self.is_folder:
            if image.shape[:2] != self._size:
                raise ValueError(
                    f'frame {self.count} has the size {image.shape[:2]}, the video '
                    f'{self.path} {self._size}: write to a folder instead'
                )
            odd = [side % 2 for side in image.shape[:2]]
            if any(odd):  # the codecs need even sides
                image = np.pad(image, ((0, odd[0]), (0, odd[1]), (0, 0)), mode='edge')
        self._encoder.write(image, time)

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            if self._encoder is None:
                raise ValueError(f'no frame was written to {self.path}')
            self._encoder.finish(self.path)
        elif self._encoder is not None:
            self._encoder.close()
            message = f'{self.count} frames are kept in {self.partial}'
            print_log(message, 'current', logging.WARNING)

    def _start(self) -> Encoder:
        if self.is_folder:
            return JpegFolder(self.partial)
        if has_av():
            from .h264 import H264Video

            return H264Video(self.partial, fps=self.fps, crf=self.crf, sound=self.sound)
        return Mpeg4Video(self.partial, fps=self.fps)
