"""How fast objects move, and average precision for each speed.

Shapes in this module: D detections and G ground-truth boxes of one class in one
frame. The motion IoU of a box is the mean IoU with the boxes of the same track in
the frames up to `MOTION_REACH` before and after: 1 where the object stands still.
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
from .detection_result import NO_TRACK, FrameResult

MOTION_REACH = 10  # frames either way: FGFA, Sec. 4
FAST_BELOW, SLOW_ABOVE = 0.7, 0.9  # motion IoU: FGFA, Sec. 4
SPEEDS = ('slow', 'medium', 'fast')


def check_tracks(result: FrameResult) -> None:
    """Refuse a frame whose boxes belong to no track.

    Raises:
        ValueError: It is a still image, or a box lacks its `instance_id`.
    """
    lacks = (result.instance_ids == NO_TRACK) & ~result.is_ignored
    if len(result.record.frame) != 2 or lacks.any():
        raise ValueError(
            'the motion split needs videos whose boxes all have an instance_id (their '
            f'track), got {int(lacks.sum())} of {len(lacks)} boxes without one in '
            f'frame {result.record.frame} of {result.record.source}'
        )


def motion_ious(results: Sequence[FrameResult]) -> list[np.ndarray]:
    """Return the motion IoU (G,) of the boxes of each frame.

    Where a track is shorter, or not annotated everywhere, the mean is over the frames
    there are; a box without any neighbour has 0, as in the released figures. In a
    frame that holds a track twice, its first box stands for it.
    """
    tracks: dict[tuple, dict[int, tuple[int, int]]] = defaultdict(dict)
    for index, result in enumerate(results):
        video, frame = result.record.frame
        for box, instance in enumerate(result.instance_ids):
            if instance != NO_TRACK:
                tracks[video, int(instance)].setdefault(frame, (index, box))
    ious = [np.zeros(len(result.gt_boxes)) for result in results]
    for places in tracks.values():
        frames = np.array(sorted(places))
        where = [places[frame] for frame in frames.tolist()]
        boxes = np.array([results[i].gt_boxes[g] for i, g in where], dtype=np.float64)
        for (i, g), iou in zip(where, _track_ious(frames, boxes), strict=True):
            ious[i][g] = iou
    return ious


def _track_ious(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the motion IoU (T,) of a track: frames (T,), ascending, boxes (T, 4)."""
    total, count = np.zeros(len(frames)), np.zeros(len(frames))
    for lag in range(1, min(MOTION_REACH, len(frames) - 1) + 1):
        near = frames[lag:] - frames[:-lag] <= MOTION_REACH
        iou = broadcast_iou(boxes[lag:], boxes[:-lag]) * near
        for part in (slice(lag, None), slice(None, -lag)):
            total[part] += iou
            count[part] += near
    return total / np.maximum(count, 1)


def speeds_of(ious: np.ndarray) -> np.ndarray:
    """Return the speed (G,), an index into `SPEEDS`, of each motion IoU (G,)."""
    return np.where(ious > SLOW_ABOVE, 0, np.where(ious < FAST_BELOW, 2, 1))


def match_in_range(
    iou: np.ndarray,
    *,
    thresholds: np.ndarray,
    is_in_range: np.ndarray,
    empty_weight: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Decide for each detection whether it is right, for boxes of one speed.

    Each detection in turn takes the free box of any speed that it overlaps most among
    those whose threshold it reaches. It is right if that box is in range, else it
    counts neither way. One that gets none is ignored if it is nearer (by IoU, to
    boxes taken too) to a box out of range, wrong if nearer to one in range. As
    released, a tie (mostly: it touches neither) is a part of an error, the share of
    this frame's boxes of the class that are out of range, and so is a detection in a
    frame without the class: `empty_weight`.

    Args:
        iou: (D, G), detections highest score first.
        thresholds: (G,), least IoU of a match with each box.
        is_in_range: (G,) bool.
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
class _Detections:
    """All detections of a class, as they count for one speed."""

    scores: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0)])
    status: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0, np.int8)])
    weights: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0)])
    num_gt: int = 0

    def average_precision(self) -> float:
        parts = (self.scores, self.status, self.weights)
        scores, status, weights = (np.concatenate(part) for part in parts)
        return average_precision(scores, status, self.num_gt, weights=weights)


class MotionSplit:
    """Frames whose ground truth is told apart by the speed of its tracks.

    Boxes to ignore (`is_ignored`) are of no speed: a detection that reaches nothing
    but one of those counts neither way.

    Args:
        results: Frames of whole videos; speeds are those of the tracks in them.
        with_small_box_tolerance: As for `match_thresholds`; off in the released split.
    """

    def __init__(
        self, results: Sequence[FrameResult], *, with_small_box_tolerance: bool = False
    ) -> None:
        self.results = results
        self.with_small_box_tolerance = with_small_box_tolerance
        self.speeds = [speeds_of(ious) for ious in motion_ious(results)]
        counts = np.zeros(len(SPEEDS), dtype=np.int64)
        for result, speeds in zip(results, self.speeds, strict=True):
            counts += np.bincount(speeds[~result.is_ignored], minlength=len(SPEEDS))
        shares = counts / max(counts.sum(), 1)
        self.shares = dict(zip(SPEEDS, shares.tolist(), strict=True))

    def class_aps(self, label: int, iou_thr: float) -> dict[str, float]:
        """Return the AP of one class for each speed; nan where it has no box."""
        detections = {speed: _Detections() for speed in SPEEDS}
        for result, speeds in zip(self.results, self.speeds, strict=True):
            self._add_frame(detections, result, speeds, label, iou_thr)
        return {speed: d.average_precision() for speed, d in detections.items()}

    def _add_frame(
        self,
        detections: dict[str, _Detections],
        result: FrameResult,
        speeds: np.ndarray,
        label: int,
        iou_thr: float,
    ) -> None:
        found = result.found(label)
        of_class = result.gt_labels == label
        if not len(found) and not of_class.any():
            return
        gt_boxes = result.gt_boxes[of_class].astype(np.float64)
        speeds, is_ignored = speeds[of_class], result.is_ignored[of_class]
        thresholds = match_thresholds(
            gt_boxes, iou_thr, with_small_box_tolerance=self.with_small_box_tolerance
        )
        iou = legacy_iou(result.boxes[found].astype(np.float64), gt_boxes)
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
            detections[speed].scores.append(result.scores[found])
            detections[speed].status.append(status)
            detections[speed].weights.append(weights)
