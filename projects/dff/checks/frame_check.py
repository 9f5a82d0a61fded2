"""Check one frame and its label map."""

from typing import NamedTuple

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

EXIF_ORIENTATION, EXIF_TRANSPOSED = 0x0112, 5  # from 5 on rows and columns swap
# what PIL and mmcv raise for damaged files; a broken header may state any size
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    MemoryError,
    Image.DecompressionBombError,
)
MAX_LABEL = 255  # largest label that mmseg reads; it cuts off larger ones


class FrameReport(NamedTuple):
    """Result of the check of one frame."""

    size: tuple[int, int] | None  # (H, W); None if it cannot be read
    pixels: np.ndarray | None  # (256,), number of pixels of each label
    problems: list[tuple[str, str]]  # (kind, description)


def check_frame(
    info: dict,
    load: LoadAnnotations,
    *,
    num_classes: int,
    ignored: set[int],
    decode: bool,
) -> FrameReport:
    """Read a frame, and its label map if it is labelled.

    Args:
        info: Description of the frame by its data set.
        load: Transform that reads the label map.
        num_classes: Number of classes; other labels are wrong.
        ignored: Labels outside the classes that are allowed.
        decode: Whether to decode the whole image, not only its header.
    """
    path, problems, size = info['img_path'], [], None
    try:
        with Image.open(path) as image:
            size = image.size[::-1]
            # Without this condition PIL decodes a whole PNG to search for EXIF.
            exif = image.getexif() if 'exif' in image.info else {}
            if exif.get(EXIF_ORIENTATION, 1) >= EXIF_TRANSPOSED:
                size = size[::-1]
            if decode:
                image.load()
    except UNREADABLE as error:
        problems.append(('images that cannot be read', f'{path}: {error}'))
        size = None
    if not info['is_labelled'] or 'seg_map_path' not in info:
        return FrameReport(size, None, problems)
    pixels, wrong = _check_map(info, load, size)
    problems += wrong
    if pixels is not None:
        others = set(np.flatnonzero(pixels[num_classes:]) + num_classes) - ignored
        if others:
            kind = f'labels outside the {num_classes} classes'
            text = f'{info["seg_map_path"]}: {sorted(map(int, others))}'
            problems.append((kind, text))
        elif not pixels[[n for n in range(num_classes) if n not in ignored]].any():
            problems.append(('label maps that are all void', info['seg_map_path']))
    return FrameReport(size, pixels, problems)


def _check_map(
    info: dict, load: LoadAnnotations, size: tuple[int, int] | None
) -> tuple[np.ndarray | None, list[tuple[str, str]]]:
    path = info['seg_map_path']
    try:
        with Image.open(path) as image:
            raw = np.asarray(image)
        if raw.ndim != 2 or raw.max(initial=0) > MAX_LABEL:
            what = f'{path}: shape {raw.shape}, largest value {raw.max()}'
            return None, [('label maps that are no maps of numbers to 255', what)]
        labels = load(dict(info))['gt_seg_map']
    except UNREADABLE as error:
        return None, [('label maps that cannot be read', f'{path}: {error}')]
    pixels = np.bincount(labels.ravel(), minlength=256)
    if size is None or labels.shape == size:
        return pixels, []
    what = f'{path}: {labels.shape} (H, W), the image {size}'
    return pixels, [('label maps of another size than their image', what)]
