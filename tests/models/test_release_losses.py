"""Targets, sampling and losses of `configs/vid` against the release's, in loops."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from release_loops import RPN_STDS, STRIDE, base_anchors, vote
from torch.testing import assert_close

import dff  # noqa: F401  (registers the classes)

CONFIG = Path(__file__).resolve().parents[2] / 'configs/_base_/models/rfcn_r101.py'
SIZE, CELLS = (610, 900), (39, 57)  # the image ends inside the last cells
BACKGROUND = 30


@pytest.fixture(scope='module')
def heads():
    """RPN and R-FCN head of the config, with two channels in."""
    cfg = Config.fromfile(CONFIG).model
    cfg.rpn_head.update(
        in_channels=2, train_cfg=cfg.train_cfg.rpn, test_cfg=cfg.test_cfg.rpn
    )
    cfg.roi_head.update(
        in_channels=2, train_cfg=cfg.train_cfg.rcnn, test_cfg=cfg.test_cfg.rcnn
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg.rpn_head), MODELS.build(cfg.roi_head)


def overlap(box, other):
    """IoU of boxes that hold their last pixel."""
    w = min(box[2], other[2]) - max(box[0], other[0]) + 1
    h = min(box[3], other[3]) - max(box[1], other[1]) + 1
    if w <= 0 or h <= 0:
        return 0.0
    areas = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (box, other)]
    return w * h / (sum(areas) - w * h)


def encode(box, target, stds):
    w, h = box[2] - box[0] + 1, box[3] - box[1] + 1
    new_w, new_h = target[2] - target[0] + 1, target[3] - target[1] + 1
    dx = (target[0] + target[2] - box[0] - box[2]) / 2 / w
    dy = (target[1] + target[3] - box[1] - box[3]) / 2 / h
    deltas = dx, dy, math.log(new_w / w), math.log(new_h / h)
    return [d / s for d, s in zip(deltas, stds, strict=True)]


def smooth_l1(deltas, targets):
    """With sigma = 1, summed over a box."""
    gaps = [abs(d - t) for d, t in zip(deltas, targets, strict=True)]
    return sum(0.5 * g * g if g < 1 else g - 0.5 for g in gaps)


def sample_of(boxes, labels):
    meta = dict(img_shape=SIZE, pad_shape=SIZE, scale_factor=(1.0, 1.0))
    sample = DetDataSample(metainfo=meta)
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes).float(), labels=torch.tensor(labels)
    )
    return sample


def random_boxes(rng, count, sides=(20, 220)):
    corner = rng.integers(0, [SIZE[1] - 20, SIZE[0] - 20], (count, 2))
    far = np.minimum(
        corner + rng.integers(*sides, (count, 2)), [SIZE[1] - 1, SIZE[0] - 1]
    )
    return np.concatenate([corner, far], axis=1).astype(float).tolist()


def anchors_of(rows, columns):
    return [
        [x1 + STRIDE * c, y1 + STRIDE * r, x2 + STRIDE * c, y2 + STRIDE * r]
        for r in range(rows)
        for c in range(columns)
        for x1, y1, x2, y2 in base_anchors()
    ]


def rpn_labels_in_a_loop(anchors, boxes):
    """Return for each anchor -2 outside, -1 between, 0 background, else box + 1."""
    labels, overlaps = [], []
    for x1, y1, x2, y2 in anchors:
        inside = x1 >= 0 and y1 >= 0 and x2 < SIZE[1] and y2 < SIZE[0]
        row = [overlap((x1, y1, x2, y2), box) if inside else -1.0 for box in boxes]
        best = max(range(len(boxes)), key=lambda j: row[j])
        label = -1
        if row[best] < 0.3:
            label = 0
        if row[best] >= 0.7:
            label = best + 1
        labels.append(label if inside else -2)
        overlaps.append(row)
    for j in range(len(boxes)):  # whatever its overlap, the best of a box
        best = max(row[j] for row in overlaps)
        for i, row in enumerate(overlaps):
            if row[j] >= best - 1e-9:
                labels[i] = j + 1
    return labels


@pytest.mark.parametrize('seed, count', [(0, 3), (1, 6), (2, 50)])
def test_rpn_sampling_and_loss(heads, seed, count):
    """256 anchors an image, at most half on objects; 50 boxes have more than that."""
    head, rng = heads[0], np.random.default_rng(seed)
    anchors = anchors_of(*CELLS)
    if count > 10:  # boxes as anchors are, one pixel off
        own = [a for a in anchors if min(a[:2]) > 0 and a[2] < 899 and a[3] < 609]
        boxes = [own[i] for i in rng.choice(len(own), count, replace=False)]
        boxes = [[x1 + 1, y1, x2, y2] for x1, y1, x2, y2 in boxes]
    else:
        boxes = random_boxes(rng, count, (80, 300))
    expected = rpn_labels_in_a_loop(anchors, boxes)
    assert expected.count(0) > 256
    sample = sample_of(boxes, [0] * count)
    scores, deltas = torch.randn(1, 18, *CELLS), torch.randn(1, 36, *CELLS)
    torch.manual_seed(seed)
    grid, valid = head.get_anchors([CELLS], [sample.metainfo], device='cpu')
    assert_close(grid[0][0], torch.tensor(anchors))
    torch.manual_seed(seed)
    found = head.get_targets(grid, valid, [sample.gt_instances], [sample.metainfo])
    labels, label_weights, targets, target_weights = (t[0][0] for t in found[:4])
    drawn = label_weights.nonzero().squeeze(1).tolist()
    positive = [i for i in drawn if labels[i] == 0]  # class 0 is the object
    available = sum(label > 0 for label in expected)
    assert len(drawn) == 256
    assert len(positive) == min(available, 128)
    assert all(expected[i] > 0 for i in positive)
    assert all(expected[i] == 0 for i in set(drawn) - set(positive))
    assert set(target_weights.nonzero()[:, 0].tolist()) == set(positive)
    for i in positive:
        wanted = encode(anchors[i], boxes[expected[i] - 1], RPN_STDS)
        assert_close(targets[i], torch.tensor(wanted), atol=1e-4, rtol=1e-4)
    torch.manual_seed(seed)
    losses = head.loss_by_feat(
        [scores], [deltas], [sample.gt_instances], [sample.metainfo]
    )
    scores = scores[0].permute(1, 2, 0).reshape(-1, 2)
    deltas = deltas[0].permute(1, 2, 0).reshape(-1, 4).tolist()
    cls_loss = -sum(scores[i].log_softmax(0)[labels[i]].item() for i in drawn) / 256
    box_loss = sum(smooth_l1(deltas[i], targets[i].tolist()) for i in positive) / 256
    assert losses['loss_rpn_cls'][0].item() == pytest.approx(cls_loss, rel=1e-4)
    assert losses['loss_rpn_bbox'][0].item() == pytest.approx(box_loss, rel=1e-4)


def roi_targets_in_a_loop(rois, boxes, labels):
    """Return label and deltas of each RoI; objects overlap a box by half."""
    found = []
    for roi in rois:
        row = [overlap(roi, box) for box in boxes]
        best = max(range(len(boxes)), key=lambda j: row[j])
        if row[best] >= 0.5:
            stds = (0.1, 0.1, 0.2, 0.2)
            found.append((labels[best], encode(roi, boxes[best], stds)))
        else:
            found.append((BACKGROUND, [0.0] * 4))
    return found


@pytest.fixture(params=[0, 1])
def rois_and_boxes(request):
    """300 proposals, many of them near one of four boxes, and their labels."""
    rng = np.random.default_rng(request.param)
    boxes = random_boxes(rng, 4, (60, 200))
    near = [
        (np.array(boxes[i % 4]) + rng.integers(-20, 20, 4)).tolist() for i in range(150)
    ]
    near = [[min(x1, x2), min(y1, y2), x2, y2] for x1, y1, x2, y2 in near]
    return near + random_boxes(rng, 150), boxes, [3, 29, 0, 7]


def test_roi_targets_are_class_agnostic_with_stds(heads, rois_and_boxes):
    head, (proposals, boxes, labels) = heads[1], rois_and_boxes
    assert head.rfcn_reg.out_channels == 49 * 4  # one box a RoI, whatever its class
    rois, found, deltas = head.get_targets(
        [InstanceData(bboxes=torch.tensor(proposals).float())],
        [sample_of(boxes, labels)],
    )
    expected = roi_targets_in_a_loop(proposals + boxes, boxes, labels)
    assert_close(rois[:, 1:], torch.tensor(proposals + boxes).float())
    assert found.tolist() == [label for label, _ in expected]
    assert 20 < sum(label < BACKGROUND for label, _ in expected) < 280
    wanted = torch.tensor([target for _, target in expected])
    assert_close(deltas, wanted, atol=1e-4, rtol=1e-4)


def test_a_roi_at_half_by_legacy_areas_only_is_an_object(heads):
    """10 of 20 columns by "+1" areas; 9 of 19 without."""
    sample = sample_of([[0, 0, 19, 0]], [5])
    proposal = InstanceData(bboxes=torch.tensor([[0.0, 0, 9, 0]]))
    _, labels, _ = heads[1].get_targets([proposal], [sample])
    assert labels.tolist() == [5, 5]


def test_losses_are_of_the_128_hardest_of_all_rois(heads, rois_and_boxes):
    head, (proposals, boxes, labels) = heads[1], rois_and_boxes
    torch.manual_seed(0)
    for conv in (head.rfcn_cls, head.rfcn_reg):
        torch.nn.init.normal_(conv.weight)
        torch.nn.init.normal_(conv.bias)
    feat = torch.randn(1, 4, *CELLS) * 3
    losses = head.loss(
        (feat,),
        [InstanceData(bboxes=torch.tensor(proposals).float())],
        [sample_of(boxes, labels)],
    )
    with torch.no_grad():
        maps = [conv(feat[:, 2:])[0].numpy() for conv in (head.rfcn_cls, head.rfcn_reg)]
    entries = []
    rois = proposals + boxes
    targets = roi_targets_in_a_loop(rois, boxes, labels)
    for roi, (label, target) in zip(rois, targets, strict=True):
        logits = torch.from_numpy(vote(maps[0], roi))
        cls_loss = -F.log_softmax(logits, dim=0)[label].item()
        box_loss = 0.0
        if label < BACKGROUND:
            box_loss = smooth_l1(vote(maps[1], roi), target)
        entries.append((cls_loss + box_loss, cls_loss, box_loss))
    hardest = sorted(entries, reverse=True)[:128]
    for place, name in ((1, 'loss_cls'), (2, 'loss_bbox')):
        expected = sum(entry[place] for entry in hardest) / 128
        assert losses[name].item() == pytest.approx(expected, rel=1e-4)
        assert expected > 0
