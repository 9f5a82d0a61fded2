"""Read files of detections: VID's text format, COCO results, dumped predictions."""

import json
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dff.checkpoint import read_pickle

from .detection_result import as_array, as_boxes

TEXT_COLUMNS = 7  # image id, class from 1, score, x1, y1, x2, y2


@dataclass(frozen=True)
class Detections:
    """Detections of one image; boxes are (x1, y1, x2, y2) in pixels."""

    boxes: np.ndarray  # (D, 4)
    scores: np.ndarray  # (D,)
    labels: np.ndarray  # (D,), from 0

    def as_instances(self) -> dict[str, np.ndarray]:
        """Return `pred_instances`: bboxes (D, 4), scores (D,), labels (D,)."""
        return dict(bboxes=self.boxes, scores=self.scores, labels=self.labels)


NOTHING = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


def read_detections(
    path: str | os.PathLike, *, category_ids: Sequence[int]
) -> dict[Hashable, Detections]:
    """Read a results file; its suffix selects the format.

    `.txt` has one line `IMAGE_ID CLASS SCORE X1 Y1 X2 Y2` per box, with classes
    counted from 1; `.json` is COCO's list of results; `.pkl` is the output of
    `tools/test.py --out` (mmdet's `DumpDetResults`), read without running its code.

    Args:
        path: The file.
        category_ids: COCO category ids of the classes in label order.

    Returns:
        Detections by image id; images without detections may be absent.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the format is unknown or broken, or a class is unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no detections {path}')
    readers: dict[str, Callable] = {
        '.txt': _read_text,
        '.json': _read_coco,
        '.pkl': _read_dump,
        '.pickle': _read_dump,
    }
    if path.suffix not in readers:
        raise ValueError(
            f'detections must be one of {list(readers)} files, got {path.name}'
        )
    detections = readers[path.suffix](path, list(category_ids))
    for image_id, item in detections.items():
        _check(item, f'{path}: image {image_id!r}', len(category_ids))
    return detections


def _check(item: Detections, place: str, num_classes: int) -> None:
    count = len(item.boxes)
    if item.scores.shape != (count,) or item.labels.shape != (count,):
        raise ValueError(
            f'{place} must have as many scores and labels as boxes, got shapes '
            f'{item.scores.shape}, {item.labels.shape} for {count} boxes'
        )
    if not (np.isfinite(item.boxes).all() and np.isfinite(item.scores).all()):
        raise ValueError(f'{place} must have finite boxes and scores, got nan or inf')
    unknown = item.labels[(item.labels < 0) | (item.labels >= num_classes)]
    if len(unknown):
        raise ValueError(
            f'{place} must have classes 1 to {num_classes}, got {unknown[0] + 1}'
        )


def _read_text(path: Path, category_ids: list[int]) -> dict[Hashable, Detections]:
    text = path.read_text()
    if not text.strip():
        return {}
    try:
        rows = np.loadtxt(text.splitlines(), comments=None, ndmin=2)
    except ValueError:
        rows = None
    if rows is None or rows.shape[1] != TEXT_COLUMNS or (rows[:, :2] % 1).any():
        raise ValueError(_first_bad_line(path, text))
    return _by_image(rows[:, 0].astype(np.int64), rows[:, 1:])


def _first_bad_line(path: Path, text: str) -> str:
    lines = enumerate(text.splitlines(), start=1)
    bad = ((n, line) for n, line in lines if line.strip() and not _is_row(line))
    number, line = next(bad, (0, ''))
    return (
        f'{path}:{number}: expected IMAGE_ID CLASS SCORE X1 Y1 X2 Y2 (the first two '
        f'whole numbers), got {line!r}'
    )


def _is_row(line: str) -> bool:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        return False
    return len(values) == TEXT_COLUMNS and all(v % 1 == 0 for v in values[:2])


def _by_image(ids: np.ndarray, rows: np.ndarray) -> dict[Hashable, Detections]:
    """Group rows (R, 6) of class from 1, score, box by image id (R,), in order."""
    order = np.argsort(ids, kind='stable')
    unique, starts = np.unique(ids[order], return_index=True)
    return {
        int(image_id): Detections(part[:, 2:], part[:, 1], part[:, 0].astype(int) - 1)
        for image_id, part in zip(
            unique, np.split(rows[order], starts[1:]), strict=True
        )
    }


def _read_coco(path: Path, category_ids: list[int]) -> dict[Hashable, Detections]:
    try:
        items = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f'{path} is not JSON: {error}') from error
    if not isinstance(items, list):
        raise ValueError(f'{path} must hold a list of results, got {type(items)}')
    found: dict[Hashable, list[list[float]]] = {}
    for index, item in enumerate(items):
        try:
            x, y, w, h = (float(value) for value in item['bbox'])
            score, category = float(item['score']), item['category_id']
            image_id = item['image_id']
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f'{path}: result {index} must have image_id, category_id, bbox '
                f'(x, y, w, h) and score, got {item!r:.200}'
            ) from None
        if category not in category_ids:
            raise ValueError(
                f'{path}: result {index} has the unknown category_id {category!r}, '
                f'known are {category_ids}'
            )
        label = category_ids.index(category)
        found.setdefault(image_id, []).append([label, score, x, y, x + w, y + h])
    return {image_id: _from_rows(rows) for image_id, rows in found.items()}


def _from_rows(rows: list[list[float]]) -> Detections:
    array = np.array(rows, dtype=np.float64)
    return Detections(array[:, 2:], array[:, 1], array[:, 0].astype(np.int64))


def _read_dump(path: Path, category_ids: list[int]) -> dict[Hashable, Detections]:
    items = read_pickle(path)
    if not isinstance(items, list):
        raise ValueError(f'{path} must hold a list of predictions, got {type(items)}')
    found: dict[Hashable, Detections] = {}
    for index, item in enumerate(items):
        if not isinstance(item, Mapping) or item.get('img_id') is None:
            raise ValueError(
                f'{path}: prediction {index} must have an img_id, got {item!r:.200}'
            )
        if item['img_id'] in found:
            raise ValueError(
                f'{path}: image {item["img_id"]!r} must come once, got it again as '
                f'prediction {index} (offset {item.get("offset")})'
            )
        found[item['img_id']] = _from_prediction(item.get('pred_instances'), path)
    return found


def _from_prediction(instances: Any, path: Path) -> Detections:
    try:
        return Detections(
            as_boxes(instances['bboxes']),
            as_array(instances['scores']),
            as_array(instances['labels']),
        )
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f'{path}: pred_instances must have bboxes, scores and labels, got '
            f'{instances!r:.200}'
        ) from None
