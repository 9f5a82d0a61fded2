"""What a detection metric keeps of one frame, and one class's part of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .prediction_id import FrameRecord, frame_record

NO_TRACK = -1  # `instance_id` of a box that belongs to no track


@dataclass
class FrameResult:
    """Boxes (D, 4) found in a frame and boxes (G, 4) that are there, in pixels."""

    record: FrameRecord
    boxes: np.ndarray
    scores: np.ndarray  # (D,)
    labels: np.ndarray  # (D,)
    gt_boxes: np.ndarray
    gt_labels: np.ndarray  # (G,)
    is_ignored: np.ndarray  # (G,)
    instance_ids: np.ndarray  # (G,), NO_TRACK where there is none

    @classmethod
    def from_sample(cls, sample: Mapping[str, Any]) -> 'FrameResult':
        """Read a prediction and its ground truth.

        Ground truth is the metainfo `instances` if given, else `gt_instances`.

        Raises:
            ValueError: The frame has no ids, or its boxes were not loaded.
        """
        predicted = sample['pred_instances']
        return cls(
            frame_record(sample),
            as_boxes(predicted['bboxes']),
            as_array(predicted['scores']),
            as_array(predicted['labels']),
            *_ground_truth(sample),
        )

    def found(self, label: int) -> np.ndarray:
        """Return the indices of the detections of a class, highest score first."""
        found = np.flatnonzero(self.labels == label)
        return found[np.argsort(-self.scores[found], kind='stable')]


def as_array(values: Any) -> np.ndarray:
    """Return a numpy array of a tensor or anything alike."""
    if hasattr(values, 'detach'):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def as_boxes(values: Any) -> np.ndarray:
    """Return boxes (N, 4); an empty list gives (0, 4)."""
    return as_array(values).reshape(-1, 4)


def _ground_truth(sample: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return boxes (G, 4), labels (G,), which are to be ignored, and their tracks."""
    if sample.get('instances') is not None:
        return _from_instances(sample['instances'])
    gt = sample.get('gt_instances') or {}
    if 'bboxes' not in gt:
        raise ValueError(
            f'a labelled frame needs its boxes, got none for {sample.get("img_path")}: '
            "load annotations in the test pipeline, or name 'instances' in meta_keys"
        )
    parts = [gt, sample.get('ignored_instances') or {}]
    parts = [part for part in parts if 'bboxes' in part]
    boxes = [as_boxes(part['bboxes']) for part in parts]
    counts = [len(part_boxes) for part_boxes in boxes]
    is_ignored = np.arange(sum(counts)) >= counts[0]
    labels = np.concatenate([as_array(part['labels']) for part in parts])
    tracks = np.concatenate(
        [
            as_array(part.get('instances_ids', np.full(count, NO_TRACK)))
            for part, count in zip(parts, counts, strict=True)
        ]
    )
    return np.concatenate(boxes), labels, is_ignored, tracks


def _from_instances(instances: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, ...]:
    return (
        as_boxes([instance['bbox'] for instance in instances]),
        np.array([i['bbox_label'] for i in instances], dtype=np.int64),
        np.array([i.get('ignore_flag', 0) for i in instances], dtype=bool),
        np.array([i.get('instance_id', NO_TRACK) for i in instances], dtype=np.int64),
    )
