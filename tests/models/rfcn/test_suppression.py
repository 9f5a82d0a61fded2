"""Suppression of the best boxes against that of all."""

import pytest
import torch
from mmdet.models.layers import multiclass_nms
from mmengine.config import ConfigDict

import dff.models.rfcn.suppression
from dff.models.rfcn.suppression import best_detections, best_first

NMS = ConfigDict(type='nms', iou_threshold=0.3, offset=1, split_thr=1)


def make(seed, *, num=60, classes=3, per_class=False, spread=60.0):
    """Give random boxes and scores, no two of them equal."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(num, (classes if per_class else 1), 2, generator=generator)
    sides = torch.rand(num, (classes if per_class else 1), 2, generator=generator)
    boxes = torch.cat([corners * spread, corners * spread + sides * 20], dim=-1)
    scores = torch.rand(num, classes + 1, generator=generator)
    return boxes.flatten(1), scores


@pytest.mark.parametrize('per_class', [False, True])
@pytest.mark.parametrize('score_thr', [0.0, 0.8, 2.0])
@pytest.mark.parametrize('limit', [1, 4, 15, 1000, -1])
def test_result_is_that_of_all_boxes(per_class, score_thr, limit):
    for seed in range(5):
        for spread in (1.0, 60.0):  # one survives, or many
            boxes, scores = make(seed, per_class=per_class, spread=spread)
            assert len(scores.unique()) == scores.numel()
            found = best_detections(
                boxes, scores, score_thr=score_thr, nms=NMS, max_per_img=limit
            )
            wanted = multiclass_nms(boxes, scores, score_thr, NMS, limit)
            assert torch.equal(found[0], wanted[0])
            assert torch.equal(found[1], wanted[1])


def test_equal_scores_are_never_cut_apart():
    """As many boxes with as good scores, whichever of equal ones it is."""
    boxes, scores = make(0, num=200, spread=600.0)
    for levels in (1, 3, 20):
        tied = (scores * levels).ceil() / levels
        options = dict(score_thr=0.0, nms=NMS, max_per_img=20)
        found, _ = best_detections(boxes, tied, **options)
        wanted, _ = multiclass_nms(boxes, tied, 0.0, NMS, 20)
        assert torch.equal(found[:, 4], wanted[:, 4])


def test_most_boxes_are_never_looked_at(monkeypatch):
    seen = []

    def watch(boxes, scores, threshold, *args):
        seen.append(int((scores[:, :-1] > threshold).sum()))
        return multiclass_nms(boxes, scores, threshold, *args)

    monkeypatch.setattr(dff.models.rfcn.suppression, 'multiclass_nms', watch)
    boxes, scores = make(0, num=300, classes=30, spread=600.0)
    best_detections(boxes, scores, score_thr=1e-4, nms=NMS, max_per_img=300)
    assert seen == [1200]  # of 9000


def test_soft_nms_sees_all_boxes(monkeypatch):
    """A worse box never changes a better one there either, but scores sink."""
    soft = ConfigDict(type='soft_nms', iou_threshold=0.3, min_score=0.05)
    boxes, scores = make(0)
    found = best_detections(boxes, scores, score_thr=0.0, nms=soft, max_per_img=5)
    wanted = multiclass_nms(boxes, scores, 0.0, soft, 5)
    assert torch.equal(found[0], wanted[0])


@pytest.mark.parametrize('levels', [1, 3, 50, 10**6])
def test_best_first_keeps_the_order_of_equal_scores(levels):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, levels, (200,), generator=generator) / levels
    values = scores.tolist()
    ranked = sorted(range(200), key=lambda i: -values[i])  # stable
    for count in (0, 1, 7, 199, 200, 999):
        assert best_first(scores, count).tolist() == ranked[:count]
    assert best_first(scores[:0], 3).tolist() == []
