"""MOT sequences, as image folders or video files, to CocoVID.

A sequence is a folder VIDEO with `gt/gt.txt` and either `img1/*.jpg` or one
video file. Rows of gt.txt are `frame,id,x,y,w,h,conf,...`: frames are 1-based
(0-based frame i of a video file is row frame i + 1), so are the corners x, y. A
row of conf 0 is a box to ignore.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from rich.progress import track

from dff.datasets.cocovid_file import MAX_NUMBER
from dff.datasets.text_file import read_text
from dff.files import remove_new_files_on_error

from .cocovid import CocoVIDWriter, write_image

VIDEO_SUFFIXES = ('.avi', '.mp4', '.mkv', '.mov', '.webm', '.mpg', '.mpeg')
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')
FIRST_MOT_FRAME = 1  # gt.txt counts frames and pixels from 1


@dataclass(frozen=True)
class MotRow:
    """One row of gt.txt with 0-based frame and box."""

    frame_id: int
    instance_id: int
    box: tuple[float, float, float, float]
    is_ignored: bool
    place: str


def read_gt(path: Path) -> dict[int, list[MotRow]]:
    """Read gt.txt into lists of rows by 0-based frame.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row cannot be read (file and line are named).
    """
    if not path.is_file():
        raise FileNotFoundError(f'no annotation file {path}')
    rows = defaultdict(list)
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        place = f'{path}:{number}'
        row = _read_row(line, place)
        rows[row.frame_id].append(row)
    return rows


def _read_row(line: str, place: str) -> MotRow:
    try:
        values = [float(value) for value in line.split(',')[:7]]
        frame, identity, x, y, w, h, confidence = values
    except ValueError:
        raise ValueError(
            f'{place}: expected frame,id,x,y,w,h,conf, got {line!r:.200}'
        ) from None
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f'{place}: numbers must be finite, got {line!r:.200}')
    if not (frame.is_integer() and identity.is_integer()):
        raise ValueError(
            f'{place}: frame and id must be whole numbers, got {frame} and {identity}'
        )
    if max(frame, abs(identity)) > MAX_NUMBER:
        raise ValueError(
            f'{place}: frame and id must be {MAX_NUMBER} at most, got {line!r:.200}'
        )
    if frame < FIRST_MOT_FRAME:
        raise ValueError(f'{place}: frames count from 1, got {int(frame)}')
    x, y = x - FIRST_MOT_FRAME, y - FIRST_MOT_FRAME
    box = (x, y, x + w, y + h)
    frame_id = int(frame) - FIRST_MOT_FRAME
    return MotRow(frame_id, int(identity), box, confidence == 0, place)


def find_sequences(root: Path) -> list[Path]:
    """List the folders under `root`, or `root` itself, that hold gt/gt.txt."""
    if (root / 'gt' / 'gt.txt').is_file():
        return [root]
    found = sorted(path.parent.parent for path in root.glob('*/gt/gt.txt'))
    if not found:
        raise FileNotFoundError(f'no VIDEO/gt/gt.txt under {root}')
    return found


def extract_frames(
    video: Path, folder: Path, first: int, last: int | None
) -> Iterator[tuple[int, str, tuple[int, int]]]:
    """Decode a video file to JPEG files `%06d.jpg`, numbered from 1 as in MOT.

    Args:
        video: The video file.
        folder: Where the JPEG files go.
        first: First 0-based frame to write.
        last: Last frame to write, None for the end of the video.

    Yields:
        (0-based frame, file name, (width, height)).

    Raises:
        ValueError: The video is unreadable, empty or shorter than asked.
    """
    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        raise ValueError(f'cannot read video {video}')
    index = 0
    try:
        while (last is None or index <= last) and capture.grab():
            if index >= first:
                ok, image = capture.retrieve()
                if not ok:
                    raise ValueError(f'cannot decode frame {index} of {video}')
                name = f'{index + FIRST_MOT_FRAME:06d}.jpg'
                write_image(image, folder / name)
                yield index, name, (image.shape[1], image.shape[0])
            index += 1
    finally:
        capture.release()
    if index <= max(first, last or 0):
        asked = f'{first}-{"" if last is None else last}'
        raise ValueError(f'{video} has {index} frames, asked for frames {asked}')


def list_images(
    source: Path, folder: Path, first: int, last: int | None
) -> Iterator[tuple[int, str, tuple[int, int]]]:
    """Yield what `extract_frames` does for an existing `img1` folder.

    `folder` becomes a link to `source` where it is another place.
    """
    names = sorted(
        p.name
        for p in source.iterdir()
        if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith('.')
    )
    stop = len(names) if last is None else last + 1
    if not names or first >= len(names) or stop > len(names):
        raise ValueError(
            f'{source} has {len(names)} images, asked for frames {first}-{stop - 1}'
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
    """Return the frames of a sequence and about how many they are."""
    if (sequence / 'img1').is_dir():
        total = sum(1 for _ in (sequence / 'img1').iterdir())
        frames = list_images(sequence / 'img1', folder, first, last)
    else:
        videos = sorted(
            p for p in sequence.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES
        )
        if len(videos) != 1:
            raise FileNotFoundError(
                f'{sequence} must hold img1/ or one video file, got '
                f'{[p.name for p in videos]}'
            )
        capture = cv2.VideoCapture(str(videos[0]))
        total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
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

    Frame ids stay those of the whole video, so that frames 600-794 of a video
    are frames 600-794 in the json too.

    Args:
        root: A sequence, or a folder of sequences.
        out: Data root of the result; file names are relative to it.
        name: Name of the json file, without suffix.
        classes: One class name; MOT's own class column is not read.
        frames: First and last 0-based frame, both included; None is the end.
        sequences: Names of the sequences to take, default all.

    Returns:
        The written set, for its counts.

    Raises:
        FileNotFoundError: There is no such sequence, video or frame.
        ValueError: A row or a frame cannot be read, or is not there. No frame that was
            extracted before stays behind.
    """
    root, out = Path(root), Path(out)
    if len(classes) != 1:
        raise ValueError(f'MOT has one class, got {len(classes)}: {list(classes)}')
    first, last = frames
    if first < 0 or (last is not None and last < first):
        raise ValueError(f'frames must be FIRST-LAST with 0 <= FIRST <= LAST: {frames}')
    found = find_sequences(root)
    if sequences is not None:
        missing = set(sequences) - {path.name for path in found}
        if missing:
            raise FileNotFoundError(f'no sequence {sorted(missing)} under {root}')
        found = [path for path in found if path.name in sequences]
    writer = CocoVIDWriter(classes)
    with remove_new_files_on_error(*(out / path.resolve().name for path in found)):
        for sequence in found:
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
    seen = -1
    for index, file_name, size in track(frames, video_name, total):
        seen = index
        image_id = writer.add_image(
            f'{video_name}/img1/{file_name}', size, video_id=video_id, frame_id=index
        )
        for row in rows.get(index, ()):
            writer.add_box(
                image_id,
                row.box,
                label=0,
                place=row.place,
                instance_id=row.instance_id,
                is_ignored=row.is_ignored,
            )
    beyond = [row for index in rows for row in rows[index] if index > seen]
    if last is None and beyond:
        row = min(beyond, key=lambda row: row.frame_id)
        raise FileNotFoundError(
            f'{row.place}: annotates frame {row.frame_id + FIRST_MOT_FRAME}, but '
            f'{sequence} has {seen + 1} frames'
        )
