"""Convert MOT sequences, as image folders or video files, to CocoVID.

A sequence is a folder VIDEO with `gt/gt.txt` and either `img1/*.jpg` or one video file.
Rows of gt.txt are `frame,id,x,y,w,h,conf,...`. Frame numbers and the corners x, y are
1-based (frame i of a video file, counted from 0, has the number i + 1). A box with conf
0 is ignored.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from rich.progress import track

from dff.datasets.cocovid_file import MAX_NUMBER
from dff.datasets.text_file import read_text
from dff.files import remove_new_files_on_error
from dff.video import FrameSource, open_frames

from .cocovid import CocoVIDWriter, write_image

VIDEO_SUFFIXES = ('.avi', '.mp4', '.mkv', '.mov', '.webm', '.mpg', '.mpeg')
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')
FIRST_MOT_FRAME = 1  # gt.txt counts frames and pixels from 1


@dataclass(frozen=True)
class MotRow:
    """A row of gt.txt, with 0-based frame and box (x1, y1, x2, y2)."""

    frame_id: int
    instance_id: int
    box: tuple[float, float, float, float]
    is_ignored: bool
    source: str


def read_gt(path: Path) -> dict[int, list[MotRow]]:
    """Read gt.txt into lists of rows by 0-based frame.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a row is invalid. The message names file and line.
    """
    if not path.is_file():
        raise FileNotFoundError(f'annotation file {path} does not exist')
    rows = defaultdict(list)
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        row = _read_row(line, f'{path}:{number}')
        rows[row.frame_id].append(row)
    return rows


def _read_row(line: str, source: str) -> MotRow:
    try:
        values = [float(value) for value in line.split(',')[:7]]
        frame, identity, x, y, w, h, confidence = values
    except ValueError:
        raise ValueError(
            f'{source}: expected frame,id,x,y,w,h,conf, got {line!r:.200}'
        ) from None
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f'{source}: numbers must be finite, got {line!r:.200}')
    if not (frame.is_integer() and identity.is_integer()):
        raise ValueError(
            f'{source}: frame and id must be whole numbers, got {frame} and {identity}'
        )
    if max(frame, abs(identity)) > MAX_NUMBER:
        raise ValueError(
            f'{source}: frame and id must be at most {MAX_NUMBER}, got {line!r:.200}'
        )
    if frame < FIRST_MOT_FRAME:
        raise ValueError(f'{source}: frame numbers start at 1, got {int(frame)}')
    x, y = x - FIRST_MOT_FRAME, y - FIRST_MOT_FRAME
    box = (x, y, x + w, y + h)
    frame_id = int(frame) - FIRST_MOT_FRAME
    return MotRow(frame_id, int(identity), box, confidence == 0, source)


def find_sequences(root: Path) -> list[Path]:
    """List the folders in `root`, or `root` itself, that contain gt/gt.txt.

    Raises:
        FileNotFoundError: If there is none.
    """
    if (root / 'gt' / 'gt.txt').is_file():
        return [root]
    folders = sorted(path.parent.parent for path in root.glob('*/gt/gt.txt'))
    if not folders:
        raise FileNotFoundError(f'there is no VIDEO/gt/gt.txt in {root}')
    return folders


def extract_frames(
    video: Path, folder: Path, first: int, last: int | None
) -> Iterator[tuple[int, str, tuple[int, int]]]:
    """Decode a video file to JPEG files `%06d.jpg`, numbered from 1 as in MOT.

    Args:
        video: The video file.
        folder: Folder for the JPEG files.
        first: First frame to write, 0-based.
        last: Last frame to write; None is the last frame of the video.

    Yields:
        (0-based frame, file name, (width, height)).

    Raises:
        ValueError: If the video is unreadable, damaged or shorter than requested.
    """
    stop = None if last is None else last + 1
    index = first - 1
    for frame in _open_video(video, start=first, stop=stop):
        index = first + frame.index
        name = f'{index + FIRST_MOT_FRAME:06d}.jpg'
        write_image(frame.image, folder / name)
        yield index, name, (frame.image.shape[1], frame.image.shape[0])
    if last is not None and index < last:
        raise ValueError(
            f'{video} has {index + 1} frames, requested are {first}-{last}'
        )


def _open_video(video: Path, **options: Any) -> FrameSource:
    """Open a video whose frames must all be readable: a lost one would shift boxes."""
    try:
        return open_frames(video, on_damage='raise', **options)
    except ValueError as error:
        raise ValueError(f'cannot read video {video}: {error}') from error


def list_images(
    source: Path, folder: Path, first: int, last: int | None
) -> Iterator[tuple[int, str, tuple[int, int]]]:
    """Yield the same as `extract_frames` for an existing folder `img1`.

    If `folder` does not exist, it becomes a link to `source`.

    Raises:
        ValueError: If an image cannot be read, or there are fewer than requested.
    """
    names = sorted(
        p.name
        for p in source.iterdir()
        if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith('.')
    )
    stop = len(names) if last is None else last + 1
    if not names or first >= len(names) or stop > len(names):
        raise ValueError(
            f'{source} has {len(names)} images, requested are {first}-{stop - 1}'
        )
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(source.resolve(), target_is_directory=True)
    for index in range(first, stop):
        image = cv2.imread(str(source / names[index]))
        if image is None:
            raise ValueError(f'cannot read frame {source / names[index]}')
        yield index, names[index], (image.shape[1], image.shape[0])


def _open_sequence(
    sequence: Path, folder: Path, first: int, last: int | None
) -> tuple[Iterator[tuple[int, str, tuple[int, int]]], int]:
    """Return the frames of a sequence and an estimate of their number."""
    if (sequence / 'img1').is_dir():
        total = sum(1 for _ in (sequence / 'img1').iterdir())
        frames = list_images(sequence / 'img1', folder, first, last)
    else:
        videos = sorted(
            p for p in sequence.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES
        )
        if len(videos) != 1:
            raise FileNotFoundError(
                f'{sequence} must contain img1/ or one video file, got '
                f'{[p.name for p in videos]}'
            )
        total = _open_video(videos[0]).count or 0
        frames = extract_frames(videos[0], folder, first, last)
    stop = total if last is None else last + 1
    return frames, max(stop - first, 1)


def convert_mot(
    root: str | Path,
    out: str | Path,
    *,
    name: str,
    classes: Sequence[str] = ('person',),
    frames: tuple[int, int | None] = (0, None),
    sequences: Sequence[str] | None = None,
) -> CocoVIDWriter:
    """Convert MOT sequences to OUT/annotations/NAME.json and OUT/VIDEO/img1.

    Frame ids are those of the whole video: frames 600-794 of a video are frames
    600-794 in the JSON file, too. After an error, extracted frames are removed.

    Args:
        root: A sequence, or a folder of sequences.
        out: Data root of the result; file names are relative to it.
        name: Name of the JSON file, without suffix.
        classes: One class name; MOT's class column is not read.
        frames: First and last frame, 0-based and inclusive; None is the end.
        sequences: Names of the sequences to convert; None converts all.

    Returns:
        The writer, with its counts.

    Raises:
        FileNotFoundError: If a sequence, a video or a frame does not exist.
        ValueError: If an option, a row or a frame is invalid.
    """
    root, out = Path(root), Path(out)
    if len(classes) != 1:
        raise ValueError(f'classes must be one name, got {list(classes)}')
    first, last = frames
    if first < 0 or (last is not None and last < first):
        raise ValueError(f'frames must be 0 <= first <= last, got {frames}')
    folders = find_sequences(root)
    if sequences is not None:
        missing = set(sequences) - {path.name for path in folders}
        if missing:
            raise FileNotFoundError(f'there is no sequence {sorted(missing)} in {root}')
        folders = [path for path in folders if path.name in sequences]
    writer = CocoVIDWriter(classes)
    with remove_new_files_on_error(*(out / path.resolve().name for path in folders)):
        for sequence in folders:
            _convert_sequence(writer, sequence, out, first=first, last=last)
        writer.write(out / 'annotations' / f'{name}.json')
    return writer


def _convert_sequence(
    writer: CocoVIDWriter, sequence: Path, out: Path, *, first: int, last: int | None
) -> None:
    rows = read_gt(sequence / 'gt' / 'gt.txt')
    video_name = sequence.resolve().name
    folder = out / video_name / 'img1'
    video_id = writer.add_video(video_name)
    frames, total = _open_sequence(sequence, folder, first, last)
    last_index = -1
    for index, file_name, size in track(frames, video_name, total):
        last_index = index
        image_id = writer.add_image(
            f'{video_name}/img1/{file_name}', size, video_id=video_id, frame_id=index
        )
        for row in rows.get(index, ()):
            writer.add_box(
                image_id,
                row.box,
                label=0,
                source=row.source,
                instance_id=row.instance_id,
                is_ignored=row.is_ignored,
            )
    beyond = [row for index in rows for row in rows[index] if index > last_index]
    if last is None and beyond:
        row = min(beyond, key=lambda row: row.frame_id)
        raise FileNotFoundError(
            f'{row.source}: annotates frame {row.frame_id + FIRST_MOT_FRAME}, but '
            f'{sequence} has {last_index + 1} frames'
        )
