"""Box matching and average precision of ImageNet VID (the ILSVRC development kit).

Shapes in this module: D detections and G ground-truth boxes of one class in one
image. Boxes are (x1, y1, x2, y2) in pixels and include their last pixel:
width = x2 - x1 + 1 (the legacy "+1" areas of the authors' evaluation).
"""

import numpy as np

PIXEL_TOLERANCE = 10  # ILSVRC kit: a small box may be off by 10 pixels in w and h

TRUE_POSITIVE, FALSE_POSITIVE, IGNORED = 1, 0, -1


def legacy_iou(boxes: np.ndarray, gt_boxes: np.ndarray) -> np.ndarray:
    """Return the IoU (D, G) of boxes (D, 4) and gt_boxes (G, 4), "+1" areas."""
    return broadcast_iou(boxes[:, None], gt_boxes[None])


def broadcast_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the IoU (...,) of boxes (..., 4) and others (..., 4), "+1" areas."""
    top_left = np.maximum(boxes[..., :2], others[..., :2])
    bottom_right = np.minimum(boxes[..., 2:], others[..., 2:])
    inter = (bottom_right - top_left + 1).clip(min=0).prod(-1)
    areas = (boxes[..., 2:] - boxes[..., :2] + 1).prod(-1)
    other_areas = (others[..., 2:] - others[..., :2] + 1).prod(-1)
    union = areas + other_areas - inter
    return inter / np.maximum(union, np.finfo(np.float64).tiny)


def match_thresholds(
    gt_boxes: np.ndarray, iou_thr: float, *, with_small_box_tolerance: bool
) -> np.ndarray:
    """Return the minimum IoU (G,) of a match with each of gt_boxes (G, 4).

    With the tolerance it is min(iou_thr, w h / ((w + 10) (h + 10))).
    """
    if not with_small_box_tolerance:
        return np.full(len(gt_boxes), iou_thr, dtype=np.float64)
    sizes = gt_boxes[:, 2:] - gt_boxes[:, :2] + 1  # (G, 2)
    return np.minimum(iou_thr, (sizes / (sizes + PIXEL_TOLERANCE)).prod(-1))


def match_boxes(
    boxes: np.ndarray,
    gt_boxes: np.ndarray,
    *,
    thresholds: np.ndarray,
    is_ignored: np.ndarray,
) -> np.ndarray:
    """Match detections with ground-truth boxes.

    Each detection in turn is matched with the free box that it overlaps most, among
    the boxes whose threshold it reaches. An unmatched detection is wrong, unless it
    reaches an ignored box (several detections may); then it is ignored.

    Args:
        boxes: (D, 4), highest score first.
        gt_boxes: (G, 4).
        thresholds: (G,), minimum IoU of a match with each box.
        is_ignored: (G,) bool, boxes that need not be detected.

    Returns:
        (D,) int8 of TRUE_POSITIVE, FALSE_POSITIVE or IGNORED.
    """
    status = np.full(len(boxes), FALSE_POSITIVE, dtype=np.int8)
    if not len(gt_boxes) or not len(boxes):
        return status
    iou = legacy_iou(boxes, gt_boxes)
    reached = iou >= thresholds  # (D, G)
    is_free = ~is_ignored
    for det in np.flatnonzero(reached.any(1)):
        candidates = np.flatnonzero(reached[det] & is_free)
        if len(candidates):
            status[det] = TRUE_POSITIVE
            is_free[candidates[iou[det, candidates].argmax()]] = False
        elif (reached[det] & is_ignored).any():
            status[det] = IGNORED
    return status


def average_precision(
    scores: np.ndarray,
    status: np.ndarray,
    num_gt: int,
    *,
    weights: np.ndarray | None = None,
) -> float:
    """Return the area under the monotone precision-recall curve (all points).

    Args:
        scores: (D,), detections of one class over all images; equal scores keep
            their order.
        status: (D,) as `match_boxes` returns it.
        num_gt: Number of boxes to detect; for 0 the result is nan.
        weights: (D,), weight of a detection if it is wrong; by default 1.
    """
    if num_gt == 0:
        return float('nan')
    counted = status != IGNORED
    order = np.argsort(-scores[counted], kind='stable')
    is_right = status[counted][order] == TRUE_POSITIVE
    true_positives = np.cumsum(is_right)
    wrong = np.ones(len(is_right)) if weights is None else weights[counted][order]
    false_positives = np.cumsum(np.where(is_right, 0, wrong))
    num_detections = true_positives + false_positives
    precision = true_positives / np.maximum(num_detections, np.finfo(np.float64).tiny)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[is_right].sum() / num_gt)
