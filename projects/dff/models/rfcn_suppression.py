"""Greedy suppression that works through no more boxes than its answer needs."""

from typing import Any

from mmdet.models.layers import multiclass_nms
from torch import Tensor

FIRST_CANDIDATES = 4  # boxes for each one wanted that suppression first works through


def best_first(scores: Tensor, count: int) -> Tensor:
    """Return the indices of the ``count`` best scores (N,), equal ones in their order.

    These are the first of a stable sort, which takes longer.
    """
    if not 0 < count < len(scores):
        return scores.argsort(descending=True, stable=True)[:count]
    last = scores.topk(count).values[-1]
    found = (scores >= last).nonzero().squeeze(1)
    return found[scores[found].argsort(descending=True, stable=True)][:count]


def best_detections(
    boxes: Tensor,
    scores: Tensor,
    *,
    score_thr: float,
    nms: dict[str, Any],
    max_per_img: int,
) -> tuple[Tensor, Tensor]:
    """Suppress class by class, and give the best; the result is `multiclass_nms`'s.

    Whether greedy NMS keeps a box depends on better boxes only. So the best of all
    are enough as soon as ``max_per_img`` of them survive. Which of equal scores comes
    first is not defined, as there.

    Args:
        boxes: (R, 4), or (R, K * 4) with one a class.
        scores: (R, K + 1), background last.
        score_thr: Scores up to it are left out.
        nms: As mmcv's ``batched_nms`` takes it.
        max_per_img: How many are wanted.

    Returns:
        Boxes with scores (D, 5), best first, and their labels (D,).
    """
    foreground = scores[:, :-1].flatten()
    count = FIRST_CANDIDATES * max_per_img
    while nms.get('type', 'nms') == 'nms' and 0 < count < len(foreground):
        threshold = foreground.topk(count + 1).values[-1].item()
        if not threshold > score_thr:
            break
        found = multiclass_nms(boxes, scores, threshold, nms, max_per_img)
        if len(found[0]) == max_per_img:
            return found
        count *= 2
    return multiclass_nms(boxes, scores, score_thr, nms, max_per_img)
