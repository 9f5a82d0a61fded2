"""Detections and ground truth of one frame, as arrays.

Shapes in this module: D detections and G ground-truth boxes of one frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .prediction_id import PredictionId, identify_prediction

NO_TRACK = -1  # `instance_id` of a box that belongs to no track


@dataclass
class DetectionResult:
    """Detections and ground truth of one frame; boxes are (x1, y1, x2, y2), pixels."""

    prediction_id: PredictionId
    boxes: np.ndarray  # (D, 4)
    scores: np.ndarray  # (D,)
    labels: np.ndarray  # (D,)
    gt_boxes: np.ndarray  # (G, 4)
    gt_labels: np.ndarray  # (G,)
    is_ignored: np.ndarray  # (G,)
    instance_ids: np.ndarray  # (G,), NO_TRACK for a box without a track

    @classmethod
    def from_sample(cls, sample: Mapping[str, Any]) -> 'DetectionResult':
        """Convert a prediction and its ground truth to arrays.

        Ground truth is the metainfo `instances` if present, else `gt_instances`.

        Raises:
            ValueError: If the frame has no ids, or its boxes were not loaded.
        """
        predicted = sample['pred_instances']
        return cls(
            identify_prediction(sample),
            as_boxes(predicted['bboxes']),
            as_array(predicted['scores']),
            as_array(predicted['labels']),
            *_ground_truth(sample),
        )

    def indices_of(self, label: int) -> np.ndarray:
        """Return the indices (M,) of the M detections of a class, best score first."""
        indices = np.flatnonzero(self.labels == label)
        return indices[np.argsort(-self.scores[indices], kind='stable')]


def as_array(values: Any) -> np.ndarray:
    """Convert a tensor, array or list to an array of the same shape."""
    if hasattr(values, 'detach'):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def as_boxes(values: Any) -> np.ndarray:
    """Convert boxes to an array (N, 4); an empty list becomes (0, 4)."""
    return as_array(values).reshape(-1, 4)


def _ground_truth(sample: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return boxes (G, 4), labels (G,), is_ignored (G,) and instance ids (G,)."""
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
