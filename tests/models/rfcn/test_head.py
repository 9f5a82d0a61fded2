"""R-FCN's detection branch against loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch.testing import assert_close

from dff.models import RFCNHead
from dff.models.rfcn.head import select_hard_rois

TRAIN_CFG = ConfigDict(
    assigner=dict(
        type='MaxIoUAssigner',
        pos_iou_thr=0.5,
        neg_iou_thr=0.5,
        min_pos_iou=0.5,
        match_low_quality=False,
        ignore_iof_thr=0.5,
    ),
    num_hard=3,
)
TEST_CFG = ConfigDict(
    score_thr=0.01, nms=dict(type='nms', iou_threshold=0.3, offset=1), max_per_img=5
)
SHAPE = (64, 96)


def make_head(num_classes=2, **kwargs):
    torch.manual_seed(0)
    cfg = dict(featmap_stride=8, pool_size=3, train_cfg=TRAIN_CFG, test_cfg=TEST_CFG)
    head = RFCNHead(num_classes, 4, **{**cfg, **kwargs})
    for param in head.parameters():
        torch.nn.init.normal_(param)
    return head


def make_feats(num=2):
    return (torch.randn(num, 8, 8, 12, generator=torch.manual_seed(1)),)


def make_sample(boxes=(), labels=(), ignored=()):
    meta = dict(img_shape=SHAPE, ori_shape=SHAPE, scale_factor=(1.0, 1.0))
    sample = DetDataSample(metainfo=meta)
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes).float().reshape(-1, 4),
        labels=torch.tensor(labels).long(),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.tensor(ignored).float().reshape(-1, 4),
        labels=torch.zeros(len(ignored)).long(),
    )
    return sample


def proposals(boxes):
    return InstanceData(bboxes=torch.tensor(boxes).float().reshape(-1, 4))


def pool_in_a_loop(maps, roi, size, scale):
    """Mean over the bins of a RoI, each from its own channel: one value a class."""
    _, height, width = maps.shape
    x1, y1 = (math.floor(v + 0.5) * scale for v in roi[:2])
    x2, y2 = ((math.floor(v + 0.5) + 1) * scale for v in roi[2:])
    bin_w, bin_h = max(x2 - x1, 0.1) / size, max(y2 - y1, 0.1) / size
    means = []
    for klass in range(len(maps) // size**2):
        total = 0.0
        for row in range(size):
            for col in range(size):
                plane = maps[(klass * size + row) * size + col]
                top = min(max(math.floor(y1 + row * bin_h), 0), height)
                low = min(max(math.ceil(y1 + (row + 1) * bin_h), 0), height)
                left = min(max(math.floor(x1 + col * bin_w), 0), width)
                right = min(max(math.ceil(x1 + (col + 1) * bin_w), 0), width)
                if low > top and right > left:
                    total += plane[top:low, left:right].mean().item()
        means.append(total / size**2)
    return means


def test_scores_are_means_of_position_sensitive_bins():
    head, feats = make_head(), make_feats()
    rois = torch.tensor([[0.0, 3, 5, 50, 61], [1, 20, 0, 95, 30], [1, 7, 7, 7, 7]])
    with torch.no_grad():
        scores, deltas = head.forward_rois(feats, rois)
        half = feats[0][:, 4:]
        for conv, result in ((head.rfcn_cls, scores), (head.rfcn_reg, deltas)):
            weight, bias = conv.weight[:, :, 0, 0], conv.bias
            maps = torch.einsum('oc,nchw->nohw', weight, half) + bias[:, None, None]
            expected = [
                pool_in_a_loop(maps[int(roi[0])], roi[1:].tolist(), 3, 1 / 8)
                for roi in rois
            ]
            assert_close(result, torch.tensor(expected), atol=1e-4, rtol=1e-4)
    assert scores.shape == (3, 3) and deltas.shape == (3, 4)


def test_only_the_second_half_is_read():
    head, feats = make_head(), make_feats()
    rois = torch.tensor([[0.0, 3, 5, 50, 61]])
    before = head.forward_rois(feats, rois)
    feats[0][:, :4] = 1e6
    assert_close(head.forward_rois(feats, rois), before)


@pytest.mark.parametrize('num', [1, 4, 100])
def test_hard_rois_equal_a_loop(num):
    losses = torch.rand(40, generator=torch.manual_seed(2))
    image_ids = torch.tensor([0.0, 2, 2, 3] * 10)  # image 1 has no RoI
    expected = torch.zeros(40, dtype=torch.bool)
    for image_id in (0, 2, 3):
        own = [i for i in range(40) if image_ids[i] == image_id]
        own.sort(key=lambda i: -losses[i])
        for i in own[:num]:
            expected[i] = True
    assert torch.equal(select_hard_rois(losses, image_ids, num), expected)


def loss_in_a_loop(head, feats, rois, labels, targets):
    """Released OHEM on one image: rank all RoIs, keep the worst, average."""
    with torch.no_grad():
        scores, deltas = head.forward_rois(feats, rois)
    entries = []
    for score, delta, label, target in zip(
        scores, deltas, labels, targets, strict=True
    ):
        cls_loss = -F.log_softmax(score, dim=0)[label].item()
        box_loss = 0.0
        if label < head.num_classes:
            for d, t in zip(delta.tolist(), target.tolist(), strict=True):
                gap = abs(d - t)
                box_loss += 0.5 * gap**2 if gap < 1 else gap - 0.5
        entries.append((cls_loss + box_loss, cls_loss, box_loss))
    entries.sort(reverse=True)
    kept = entries[: head.train_cfg.num_hard]
    return [sum(e[i] for e in kept) / len(kept) for i in (1, 2)]


def test_loss_equals_a_loop():
    head, feats = make_head(), make_feats(1)
    boxes = [[10, 10, 40, 50], [60, 5, 90, 40]]
    near = [[12, 8, 42, 52], [58, 5, 88, 44]]
    far = [[0, 0, 9, 9], [30, 0, 60, 20], [70, 45, 95, 63]]
    losses = head.loss(feats, [proposals(near + far)], [make_sample(boxes, [1, 0])])
    rois = torch.tensor([[0, *box] for box in near + far + boxes]).float()
    labels = [1, 0, 2, 2, 2, 1, 0]
    gts = torch.tensor([boxes[i] for i in (0, 1, 0, 0, 0, 0, 1)]).float()
    targets = head.bbox_coder.encode(rois[:, 1:], gts)
    cls_loss, box_loss = loss_in_a_loop(head, feats, rois, labels, targets)
    assert losses['loss_cls'].item() == pytest.approx(cls_loss, rel=1e-4)
    assert losses['loss_bbox'].item() == pytest.approx(box_loss, rel=1e-4)
    assert box_loss > 0


def test_one_box_a_class_learns_the_class_of_the_roi():
    head, feats = make_head(reg_class_agnostic=False), make_feats(1)
    sample = make_sample([[10, 10, 40, 50]], [1])
    losses = head.loss(feats, [proposals([[12, 8, 42, 52]])], [sample])
    losses['loss_bbox'].backward()
    grad = head.rfcn_reg.weight.grad.reshape(2, -1)
    assert not grad[0].any() and grad[1].any()


def test_targets():
    head = make_head()
    sample = make_sample([[10, 10, 40, 50]], [1], ignored=[[60, 0, 90, 60]])
    results = [proposals([[11, 10, 40, 50], [65, 5, 80, 40], [0, 50, 9, 60]])]
    rois, labels, targets = head.get_targets(results, [sample])
    # The second proposal lies in an ignored box; the labelled box is a RoI too.
    assert rois[:, 1:].tolist() == [[11, 10, 40, 50], [0, 50, 9, 60], [10, 10, 40, 50]]
    assert labels.tolist() == [1, 2, 1]
    # (25 - 25.5) / 30 / .1 and log(31 / 30) / .2
    expected = torch.tensor([-0.5 / 3.0, 0, math.log(31 / 30) / 0.2, 0])
    assert_close(targets[0], expected)
    assert not targets[1:].any()


def test_images_of_a_batch_train_as_if_alone():
    head, feats = make_head(), make_feats(2)
    samples = [
        make_sample([[10, 10, 40, 50]], [1]),
        make_sample([[60, 5, 90, 40]], [0]),
    ]
    boxes = [[12, 8, 42, 52], [58, 5, 88, 44], [0, 0, 9, 9], [70, 45, 95, 63]]
    both = head.loss(feats, [proposals(boxes), proposals(boxes)], samples)
    alone = [
        head.loss((feats[0][i : i + 1],), [proposals(boxes)], [samples[i]])
        for i in range(2)
    ]
    for name, value in both.items():
        assert_close(value, (alone[0][name] + alone[1][name]) / 2)


@pytest.mark.parametrize('boxes', [[], [[0, 0, 9, 9]]])
def test_loss_without_labelled_boxes(boxes):
    head, feats = make_head(), make_feats(1)
    losses = head.loss(feats, [proposals(boxes)], [make_sample()])
    assert losses['loss_bbox'].item() == 0
    assert (losses['loss_cls'].item() > 0) == bool(boxes)
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in head.parameters())


def constant_head(scores, deltas, **kwargs):
    """Head that gives every RoI the same scores and deltas."""
    head = make_head(num_classes=len(scores) - 1, **kwargs)
    with torch.no_grad():
        for conv, values in ((head.rfcn_cls, scores), (head.rfcn_reg, deltas)):
            conv.weight.zero_()
            conv.bias.copy_(torch.tensor(values).repeat_interleave(9))
    return head


def predict(head, boxes, num=1, rescale=False, scale=(1.0, 1.0)):
    samples = [make_sample() for _ in range(num)]
    for sample in samples:
        sample.set_metainfo(dict(scale_factor=scale))
    with torch.no_grad():
        return head.predict(make_feats(num), boxes, samples, rescale=rescale)


def test_predict_decodes_and_rescales():
    head = constant_head([1.0, 3.0, 0.0], [1.0, 0.0, 0.0, 0.0])
    results = predict(
        head, [proposals([[8, 8, 27, 17]])], rescale=True, scale=(2.0, 4.0)
    )
    # 0.1 of a width of 20 to the right, then divided by the scale factor
    assert_close(results[0].bboxes, torch.tensor([[5, 2, 14.5, 4.25]] * 2))
    assert results[0].labels.tolist() == [1, 0]
    expected = torch.tensor([3.0, 1.0]).exp() / torch.tensor([3.0, 1.0, 0]).exp().sum()
    assert_close(results[0].scores, expected)


def test_predict_uses_the_box_of_the_class():
    deltas = [0.0] * 4 + [1.0, 0, 0, 0]
    head = constant_head([1.0, 3.0, 0.0], deltas, reg_class_agnostic=False)
    result = predict(head, [proposals([[8, 8, 27, 17]])])[0]
    assert result.labels.tolist() == [1, 0]
    assert_close(result.bboxes, torch.tensor([[10.0, 8, 29, 17], [8, 8, 27, 17]]))


def test_predict_suppresses_and_limits():
    head = constant_head([2.0, -9.0, 0.0], [0.0] * 4)
    grid = [[8 * i, 0, 8 * i + 7, 7] for i in range(8)]
    results = predict(head, [proposals(grid), proposals(grid[:1] * 3)], num=2)
    assert [len(r.bboxes) for r in results] == [5, 1]  # max_per_img, duplicates
    assert results[1].labels.tolist() == [0]  # class 1 is below score_thr


@pytest.mark.parametrize('counts', [(0, 0), (0, 2)])
def test_predict_without_proposals(counts):
    head = constant_head([2.0, -9.0, 0.0], [0.0] * 4)
    grid = [[0, 0, 9, 9], [40, 0, 49, 9]]
    results = predict(head, [proposals(grid[:n]) for n in counts], num=2)
    assert [len(r.bboxes) for r in results] == list(counts)
    assert results[0].bboxes.shape == (0, 4) and results[0].labels.dtype == torch.long


def test_other_heads_are_refused():
    with pytest.raises(ValueError, match='takes no bbox_head'):
        make_head().init_bbox_head(None, dict(type='BBoxHead'))
