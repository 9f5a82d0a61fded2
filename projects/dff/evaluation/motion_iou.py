"""Motion IoU of ground-truth boxes, and average precision by object speed.

Shapes in this module: D detections and G ground-truth boxes of one class in one
frame. The motion IoU of a box is its mean IoU with the boxes of the same track in
the frames up to `MOTION_REACH` before and after it: 1 for an object that rests.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .average_precision import (
    FALSE_POSITIVE,
    IGNORED,
    TRUE_POSITIVE,
    average_precision,
    broadcast_iou,
    legacy_iou,
    match_thresholds,
)
from .detection_result import NO_TRACK, DetectionResult

MOTION_REACH = 10  # frames either way: FGFA, Sec. 4
FAST_BELOW, SLOW_ABOVE = 0.7, 0.9  # motion IoU: FGFA, Sec. 4
SPEEDS = ('slow', 'medium', 'fast')


def check_tracks(result: DetectionResult) -> None:
    """Check that every box of a frame belongs to a track.

    Raises:
        ValueError: If it is a still image, or a box has no `instance_id`.
    """
    lacks = (result.instance_ids == NO_TRACK) & ~result.is_ignored
    if len(result.prediction_id.frame) != 2 or lacks.any():
        raise ValueError(
            'the motion split needs videos and an instance_id (the track) of each box, '
            f'got {int(lacks.sum())} of {len(lacks)} boxes without one in '
            f'frame {result.prediction_id.frame} of {result.prediction_id.source}'
        )


def compute_motion_ious(results: Sequence[DetectionResult]) -> list[np.ndarray]:
    """Return the motion IoU (G,) of the boxes of each frame.

    For a short or partly annotated track the mean is over its annotated frames; the
    only box of a track has 0, as in the released figures. If a frame holds a track
    twice, the first box counts.
    """
    tracks: dict[tuple, dict[int, tuple[int, int]]] = defaultdict(dict)
    for index, result in enumerate(results):
        video, frame_id = result.prediction_id.frame
        for box, instance in enumerate(result.instance_ids):
            if instance != NO_TRACK:
                tracks[video, int(instance)].setdefault(frame_id, (index, box))
    ious = [np.zeros(len(result.gt_boxes)) for result in results]
    for track in tracks.values():
        frame_ids = np.array(sorted(track))
        entries = [track[frame_id] for frame_id in frame_ids.tolist()]
        boxes = np.array([results[i].gt_boxes[g] for i, g in entries], np.float64)
        for (i, g), iou in zip(entries, _track_ious(frame_ids, boxes), strict=True):
            ious[i][g] = iou
    return ious


def _track_ious(frame_ids: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the motion IoU (T,) of a track: ascending ids (T,), boxes (T, 4)."""
    total, count = np.zeros(len(frame_ids)), np.zeros(len(frame_ids))
    for lag in range(1, min(MOTION_REACH, len(frame_ids) - 1) + 1):
        near = frame_ids[lag:] - frame_ids[:-lag] <= MOTION_REACH
        iou = broadcast_iou(boxes[lag:], boxes[:-lag]) * near
        for part in (slice(lag, None), slice(None, -lag)):
            total[part] += iou
            count[part] += near
    return total / np.maximum(count, 1)


def classify_speeds(ious: np.ndarray) -> np.ndarray:
    """Return the speed (G,), an index into `SPEEDS`, of each motion IoU (G,)."""
    return np.where(ious > SLOW_ABOVE, 0, np.where(ious < FAST_BELOW, 2, 1))


def match_in_range(
    iou: np.ndarray,
    *,
    thresholds: np.ndarray,
    is_in_range: np.ndarray,
    empty_weight: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Match detections with the boxes of one speed.

    Each detection in turn is matched with the free box of any speed that it overlaps
    most, among the boxes whose threshold it reaches. A match is right if the box is
    in range, and ignored if not. An unmatched detection is ignored if its IoU is
    highest with a box out of range (matched or not), and wrong if with a box in
    range. As released, a tie (mostly a detection that overlaps nothing) is a partial
    error: its weight is the share of this frame's boxes of the class that are out of
    range, or `empty_weight` in a frame without the class.

    Args:
        iou: (D, G), detections highest score first.
        thresholds: (G,), minimum IoU of a match with each box.
        is_in_range: (G,) bool, whether a box has the speed in question.
        empty_weight: Weight of an error in a frame without the class.

    Returns:
        Status (D,) of TRUE_POSITIVE, FALSE_POSITIVE or IGNORED, and the weights (D,)
        of errors.
    """
    status = np.full(len(iou), FALSE_POSITIVE, dtype=np.int8)
    weights = np.full(len(iou), empty_weight, dtype=np.float64)
    if not len(is_in_range):
        return status, weights
    nearest_in = iou[:, is_in_range].max(1, initial=-1)
    nearest_out = iou[:, ~is_in_range].max(1, initial=-1)
    status[nearest_out > nearest_in] = IGNORED
    weights[:] = np.where(nearest_in > nearest_out, 1, 1 - is_in_range.mean())
    is_free = np.ones(len(is_in_range), dtype=bool)
    for det in np.flatnonzero((iou >= thresholds).any(1)):
        candidates = np.flatnonzero((iou[det] >= thresholds) & is_free)
        if len(candidates):
            best = max(candidates, key=lambda g: (iou[det, g], is_in_range[g]))
            is_free[best] = False
            status[det] = TRUE_POSITIVE if is_in_range[best] else IGNORED
    return status, weights


@dataclass
class _ClassDetections:
    """All detections of a class with their status for one speed."""

    scores: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0)])
    status: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0, np.int8)])
    weights: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0)])
    num_gt: int = 0

    def average_precision(self) -> float:
        parts = (self.scores, self.status, self.weights)
        scores, status, weights = (np.concatenate(part) for part in parts)
        return average_precision(scores, status, self.num_gt, weights=weights)


class MotionSplit:
    """Average precision by the speed of the ground truth.

    Boxes to ignore (`is_ignored`) have no speed: a detection that reaches only one of
    them counts neither as right nor as wrong.

    Args:
        results: Frames of whole videos, from whose tracks the speeds are computed.
        with_small_box_tolerance: As for `match_thresholds`; off in the released split.
    """

    def __init__(
        self,
        results: Sequence[DetectionResult],
        *,
        with_small_box_tolerance: bool = False,
    ) -> None:
        self.results = results
        self.with_small_box_tolerance = with_small_box_tolerance
        self.speeds = [classify_speeds(ious) for ious in compute_motion_ious(results)]
        counts = np.zeros(len(SPEEDS), dtype=np.int64)
        for result, speeds in zip(results, self.speeds, strict=True):
            counts += np.bincount(speeds[~result.is_ignored], minlength=len(SPEEDS))
        shares = counts / max(counts.sum(), 1)
        self.shares = dict(zip(SPEEDS, shares.tolist(), strict=True))

    def class_aps(self, label: int, iou_thr: float) -> dict[str, float]:
        """Return the AP of one class by speed; nan for a speed without boxes."""
        detections = {speed: _ClassDetections() for speed in SPEEDS}
        for result, speeds in zip(self.results, self.speeds, strict=True):
            self._add_frame(detections, result, speeds, label, iou_thr)
        return {speed: d.average_precision() for speed, d in detections.items()}

    def _add_frame(
        self,
        detections: dict[str, _ClassDetections],
        result: DetectionResult,
        speeds: np.ndarray,
        label: int,
        iou_thr: float,
    ) -> None:
        indices = result.indices_of(label)
        of_class = result.gt_labels == label
        if not len(indices) and not of_class.any():
            return
        gt_boxes = result.gt_boxes[of_class].astype(np.float64)
        speeds, is_ignored = speeds[of_class], result.is_ignored[of_class]
        thresholds = match_thresholds(
            gt_boxes, iou_thr, with_small_box_tolerance=self.with_small_box_tolerance
        )
        iou = legacy_iou(result.boxes[indices].astype(np.float64), gt_boxes)
        reaches_ignored = (iou >= thresholds)[:, is_ignored].any(1)
        for index, speed in enumerate(SPEEDS):
            is_in_range = speeds[~is_ignored] == index
            status, weights = match_in_range(
                iou[:, ~is_ignored],
                thresholds=thresholds[~is_ignored],
                is_in_range=is_in_range,
                empty_weight=self.shares[speed],
            )
            status[reaches_ignored & (status == FALSE_POSITIVE)] = IGNORED
            detections[speed].num_gt += int(is_in_range.sum())
            detections[speed].scores.append(result.scores[indices])
            detections[speed].status.append(status)
            detections[speed].weights.append(weights)
