"""Greedy suppression that works through no more boxes than its answer needs."""

from collections.abc import Callable
from typing import Any

from mmdet.models.layers import multiclass_nms
from mmengine.structures import InstanceData
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


def suppress_until_enough(
    suppress: Callable[[int], InstanceData], *, wanted: int, total: int, nms: dict
) -> InstanceData:
    """Suppress the best boxes, more and more of them, until enough survive.

    Whether greedy NMS keeps a box depends on better boxes only. So the best of all
    are enough as soon as ``wanted`` of them survive.

    Args:
        suppress: Gives at most ``wanted`` survivors of so many of the best boxes.
        wanted: How many are wanted at most.
        total: How many boxes there are.
        nms: Its config; under another one than greedy NMS all boxes take part.
    """
    count = FIRST_CANDIDATES * wanted
    while nms.get('type', 'nms') == 'nms' and 0 < count < total:
        found = suppress(count)
        if len(found) == wanted:
            return found
        count *= 2
    return suppress(total)


def best_detections(
    boxes: Tensor,
    scores: Tensor,
    *,
    score_thr: float,
    nms: dict[str, Any],
    max_per_img: int,
) -> tuple[Tensor, Tensor]:
    """Suppress class by class, and give the best; the result is `multiclass_nms`'s.

    Which of equal scores comes first is not defined, as there.

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
    total = int((foreground > score_thr).sum())

    def suppress(count: int) -> InstanceData:
        threshold = score_thr
        if count < total:
            threshold = foreground.topk(count + 1).values[-1].item()
        dets, labels = multiclass_nms(boxes, scores, threshold, nms, max_per_img)
        return InstanceData(dets=dets, labels=labels)

    found = suppress_until_enough(suppress, wanted=max_per_img, total=total, nms=nms)
    return found.dets, found.labels
