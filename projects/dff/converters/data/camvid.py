"""Copy CamVid from flat folders to folders VIDEO/FRAME."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from rich.progress import track

from dff.files import remove_new_files_on_error, write_atomically

NAME = re.compile(r'(?P<video>[^_]+)_f?(?P<frame>\d+)(_L|_P)?')  # 0016E5_07959
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')


def arrange_camvid(
    images: str | Path,
    labels: str | Path,
    out: str | Path,
    *,
    split: str,
    frames: tuple[int, int | None] = (0, None),
    labelled: tuple[int, int | None] = (0, None),
) -> tuple[int, int]:
    """Copy images to OUT/images/SPLIT/VIDEO/FRAME, label maps to OUT/labels/SPLIT.

    A second call with other folders adds to the split.

    Args:
        images: Folder of images `VIDEO_FRAME.jpg`.
        labels: Folder of label maps `VIDEO_FRAME.png`.
        out: Data root of the result.
        split: Name of the split.
        frames: First and last frame to copy, as positions in the sorted folder.
        labelled: First and last frame whose label map is copied.

    Returns:
        The number of copied images and the number of copied label maps.

    Raises:
        FileNotFoundError: If a folder, or the label map of a frame, does not exist.
        ValueError: If a name has no video and frame, or the range has no frame.
    """
    paths = _list_images(Path(images))
    labels, out = Path(labels), Path(out)
    if not labels.is_dir():
        raise FileNotFoundError(f'labels must be a folder, got {labels}')
    first, last = _bounds(frames, len(paths))
    if first > last:
        raise ValueError(f'{images} has {len(paths)} frames, none of them in {frames}')
    low, high = _bounds(labelled, len(paths))
    num_maps = 0
    with remove_new_files_on_error(out / 'images' / split, out / 'labels' / split):
        for position in track(range(first, last + 1), f'CamVid {split}'):
            path = paths[position]
            match = NAME.fullmatch(path.stem)
            if match is None:
                raise ValueError(
                    f'{path} must be named VIDEO_FRAME, such as 0016E5_07959'
                )
            name = Path(split, match['video'], f'{int(match["frame"]):06d}')
            _copy(path, out / 'images' / name.with_suffix(path.suffix.lower()))
            if low <= position <= high:
                _copy(labels / f'{path.stem}.png', out / 'labels' / f'{name}.png')
                num_maps += 1
    return last + 1 - first, num_maps


def _list_images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f'images must be a folder, got {folder}')
    paths: Iterable[Path] = folder.iterdir()
    images = sorted(p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise ValueError(f'{folder} contains no image {IMAGE_SUFFIXES}')
    return images


def _bounds(span: tuple[int, int | None], count: int) -> tuple[int, int]:
    first, last = span
    return first, count - 1 if last is None else min(last, count - 1)


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise FileNotFoundError(f'{source} does not exist')
    with write_atomically(target) as temporary:
        shutil.copyfile(source, temporary)
