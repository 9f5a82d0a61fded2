"""Read the list files of ImageNet VID and DET, and select frames like them."""

import re
from pathlib import Path

from dff.datasets.text_file import read_text

MAX_NAME = 255  # bytes; limit of file systems
NUMBER = re.compile('[0-9]{1,6}')  # names of frames have six digits


def read_frame_list(path: str | Path) -> set[str]:
    """Read a list of frames or images in one of the released forms.

    - `NAME NUMBER`: one image (DET_train_30classes.txt, VID_val_frames.txt);
    - `SNIPPET NUMBER FRAME LENGTH`: one frame (VID_train_15frames.txt);
    - the same with FRAME 0 and a NUMBER that counts the frames of all snippets before
      it from 1: whole snippets (VID_val_videos.txt).

    Args:
        path: List file.

    Returns:
        Names that begin with the split, such as `train/.../SNIPPET/000000`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the list is empty or a line has another form.
    """
    names: set[str] = set()
    rows: list[tuple[str, int, int, int]] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if any(len(part.encode()) > MAX_NAME for part in line.split('/')):
            raise ValueError(f'{path}:{number}: a name is too long: {line!r:.200}')
        if len(words) == 4 and all(NUMBER.fullmatch(word) for word in words[1:]):
            first, second, third = (int(word) for word in words[1:])
            rows.append((words[0], first, second, third))
        elif len(words) == 2:
            names.add(words[0])
        elif words:
            raise ValueError(
                f'{path}:{number}: expected NAME NUMBER or SNIPPET NUMBER FRAME '
                f'LENGTH (numbers below 1,000,000), got {line!r:.200}'
            )
    is_of_videos = _counts_videos(rows)
    for snippet, _, frame, length in rows:
        frames = range(length) if is_of_videos else (frame,)
        names.update(f'{snippet}/{index:06d}' for index in frames)
    if not names:
        raise ValueError(f'{path} is empty')
    return names


def _counts_videos(rows: list[tuple[str, int, int, int]]) -> bool:
    """Return whether NUMBER counts frames of whole snippets, as in VID_val_videos."""
    start = 1
    for _, number, frame, length in rows:
        if frame or number != start:
            return False
        start += length
    return len(rows) > 1


def spread_frames(length: int, count: int) -> list[int]:
    """Select frames of a snippet like VID_train_15frames.txt.

    The snippet is divided into `count` equal parts, and the middle frame of each part
    is selected: (2 i + 1) length / (2 count), rounded down.

    Args:
        length: Number of frames of the snippet, >= 0.
        count: Number of frames to select, >= 1.

    Returns:
        Ascending indices; all of them if the snippet has at most `count` frames.

    Raises:
        ValueError: If `count` is below 1.
    """
    if count < 1:
        raise ValueError(f'frames per video must be >= 1, got {count}')
    return sorted(
        {(2 * i + 1) * length // (2 * count) for i in range(count)} if length else ()
    )
