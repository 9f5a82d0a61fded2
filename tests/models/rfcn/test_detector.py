"""The whole R-FCN: split of the channels, training, odd batches."""

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch.testing import assert_close

from dff.models.rfcn.branches import split_branches
from dff.models.rfcn.neck import DilatedNeck

SHAPE = (96, 128)
NMS = dict(type='nms', iou_threshold=0.7, offset=1)


def iou_assigner(low, high, **kwargs):
    return dict(
        type='MaxIoUAssigner',
        pos_iou_thr=high,
        neg_iou_thr=low,
        min_pos_iou=low,
        ignore_iof_thr=-1,
        **kwargs,
    )


def make_config(width=64):
    return ConfigDict(
        type='RFCN',
        data_preprocessor=dict(type='DetDataPreprocessor'),
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=16,
            stem_channels=16,
            num_stages=4,
            out_indices=(3,),
            strides=(1, 2, 2, 1),
            dilations=(1, 1, 1, 2),
        ),
        neck=dict(type='DilatedNeck', in_channels=128, out_channels=width, dilation=2),
        rpn_head=dict(
            type='RFCNRPNHead',
            in_channels=32,
            anchor_generator=dict(
                type='RFCNAnchorGenerator',
                strides=[16],
                scales=[2, 4],
                ratios=[0.5, 1, 2],
            ),
            bbox_coder=dict(type='RFCNBBoxCoder', target_stds=(0.1, 0.1, 0.4, 0.4)),
            loss_cls=dict(type='CrossEntropyLoss'),
        ),
        roi_head=dict(type='RFCNHead', num_classes=2, in_channels=32, pool_size=3),
        train_cfg=dict(
            rpn=dict(
                assigner=iou_assigner(0.3, 0.7),
                sampler=dict(
                    type='RandomSampler',
                    num=64,
                    pos_fraction=0.5,
                    add_gt_as_proposals=False,
                ),
                allowed_border=-1,
                pos_weight=-1,
            ),
            rcnn=dict(
                assigner=iou_assigner(0.5, 0.5, match_low_quality=False), num_hard=16
            ),
        ),
        test_cfg=dict(
            rpn=dict(nms_pre=500, max_per_img=40, min_bbox_size=0, nms=NMS),
            rcnn=dict(score_thr=1e-4, nms=dict(NMS, iou_threshold=0.3), max_per_img=50),
        ),
    )


def build(cfg):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg)


@pytest.fixture
def model():
    torch.manual_seed(0)
    built = build(make_config())
    built.init_weights()
    return built


def make_batch(*boxes):
    """Images and samples, one an argument; an argument lists the image's boxes."""
    images = torch.randn(len(boxes), 3, *SHAPE, generator=torch.manual_seed(0))
    samples = []
    for image, own in zip(images, boxes, strict=True):
        meta = dict(
            img_shape=SHAPE, ori_shape=SHAPE, pad_shape=SHAPE, scale_factor=(1.0, 1.0)
        )
        sample = DetDataSample(metainfo=meta)
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(own).float().reshape(-1, 4),
            labels=torch.arange(len(own)) % 2,
        )
        for x1, y1, x2, y2 in own:
            image[:, y1:y2, x1:x2] += 3
        samples.append(sample)
    return images, samples


def total(losses):
    """Sum what a training step would sum."""
    values = [v if isinstance(v, list) else [v] for v in losses.values()]
    return sum(loss.sum() for value in values for loss in value)


def test_halves_are_the_first_and_the_second_channels():
    feat = torch.arange(6.0).reshape(1, 6, 1, 1).expand(1, 6, 2, 3)
    rpn_half, rfcn_half = split_branches(feat)
    assert rpn_half[0, :, 0, 0].tolist() == [0, 1, 2]
    assert rfcn_half[0, :, 1, 2].tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match='even number of channels.*got 5'):
        split_branches(feat[:, :5])


def test_rpn_reads_the_first_half_only(model):
    feat = torch.randn(1, 64, 6, 8)
    before = model.rpn_head((feat,))
    feat[:, 32:] = 1e6
    assert_close(model.rpn_head((feat,)), before)
    feat[:, :32] += 1
    assert not torch.equal(model.rpn_head((feat,))[0][0], before[0][0])


def test_rpn_maps_belong_to_the_anchors_in_order(model):
    """Shift one anchor of one cell; only its proposal may move."""
    head = model.rpn_head
    scores = torch.zeros(1, 12, 3, 4)
    deltas = torch.zeros(1, 24, 3, 4)
    scores[0, 2 * 3, 1, 2] = 9.0  # object channel of anchor 3
    deltas[0, 4 * 3, 1, 2] = 2.0  # its dx, in tenths of a width
    meta = dict(img_shape=(1000, 1000))
    top = head.predict_by_feat([scores], [deltas], batch_img_metas=[meta])[0][:1]
    # Anchor 3 is ratio 1, scale 4: 64 pixels around 7.5, at cell (2, 1).
    left, above = 7.5 - 31.5 + 32 + 0.2 * 64, 7.5 - 31.5 + 16
    expected = torch.tensor([[left, max(above, 0), left + 63, above + 63]])
    assert_close(top.bboxes, expected)
    assert_close(top.scores, torch.tensor([1 / (1 + torch.tensor(-9.0).exp())]))


def test_neck_is_dilated_and_reads_the_last_level():
    neck = DilatedNeck(2, 4, dilation=3)
    torch.nn.init.constant_(neck.conv.conv.weight, 1.0)
    torch.nn.init.zeros_(neck.conv.conv.bias)
    impulse = torch.zeros(1, 2, 9, 11)
    impulse[0, 0, 4, 5] = 1
    (out,) = neck([torch.full((1, 2, 18, 22), 7.0), impulse])
    expected = torch.zeros(9, 11)
    for row in (1, 4, 7):
        for col in (2, 5, 8):
            expected[row, col] = 1
    assert_close(out, expected.expand(1, 4, 9, 11))
    assert_close(neck(impulse)[0], out)
    assert not neck(-impulse)[0].any()  # ReLU


def test_neck_with_normalisation_has_no_bias_and_learns():
    neck = DilatedNeck(2, 4, norm_cfg=dict(type='BN'))
    assert neck.conv.conv.bias is None
    (out,) = neck(torch.randn(4, 2, 9, 11))
    assert out.mean().item() == pytest.approx(0.4, abs=0.05)  # half of a unit normal


def test_training_finds_the_boxes_and_every_parameter_learns(model):
    boxes = [[20, 20, 60, 70], [70, 10, 120, 60]]
    images, samples = make_batch(boxes)
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    history = []
    for _ in range(80):
        loss = total(model.loss(images, samples))
        optimizer.zero_grad()
        loss.backward()
        if len(history) == 1:  # at first the residual branches are scaled by 0
            dead = [n for n, p in model.named_parameters() if not p.grad.any()]
            assert not dead
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        history.append(loss.item())
    # Hard RoIs get harder as proposals get better, so the loss is no smooth curve.
    assert sum(history[-10:]) / 10 < 0.5 * sum(history[:10]) / 10
    model.eval()
    with torch.no_grad():
        found = model.predict(images, samples)[0].pred_instances[:2]
    order = found.labels.argsort()
    assert found.labels[order].tolist() == [0, 1]
    overlaps = bbox_overlaps(found.bboxes[order], torch.tensor(boxes).float())
    assert overlaps.diagonal().min() > 0.7


def test_losses_of_a_batch_with_an_empty_image(model):
    images, samples = make_batch([[20, 20, 60, 70]], [], [])
    losses = model.loss(images, samples)
    assert set(losses) == {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'}
    total(losses).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_losses_of_an_empty_batch(model):
    losses = model.loss(*make_batch([], []))
    assert losses['loss_bbox'].item() == 0
    assert losses['loss_rpn_bbox'][0].item() == 0
    total(losses).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_batch_of_two_predicts_as_one_by_one(model):
    model.eval()
    images, samples = make_batch([[20, 20, 60, 70]], [])
    with torch.no_grad():
        together = [s.pred_instances for s in model.predict(images, samples)]
        alone = [
            model.predict(images[i : i + 1], samples[i : i + 1])[0].pred_instances
            for i in range(2)
        ]
    for a, b in zip(together, alone, strict=True):
        assert len(a) == len(b) > 0
        assert_close(a.scores, b.scores, atol=1e-5, rtol=1e-4)


def test_bfloat16_autocast(model):
    images, samples = make_batch([[20, 20, 60, 70]], [])
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.loss(images, samples)
        model.eval()
        with torch.no_grad():
            (maps,), (deltas,) = model.rpn_head(model.extract_feat(images))
            result = model.predict(images, samples)[0].pred_instances
    assert maps.dtype == deltas.dtype == result.bboxes.dtype == torch.float32
    total(losses).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_channels_last_changes_no_result(model):
    cfg = make_config()
    cfg.channels_last = True
    other = build(cfg)
    other.load_state_dict(model.state_dict())
    images, samples = make_batch([[20, 20, 60, 70]])
    weight = other.neck.conv.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        feats = [m.eval().extract_feat(images)[0] for m in (model, other)]
        results = [m.predict(images, samples)[0].pred_instances for m in (model, other)]
    assert feats[1].is_contiguous(memory_format=torch.channels_last)
    assert_close(feats[0], feats[1], atol=1e-4, rtol=1e-4)
    assert_close(results[0].scores, results[1].scores, atol=1e-4, rtol=1e-4)


def test_frozen_stages_are_frozen_when_built():
    cfg = make_config()
    cfg.backbone.frozen_stages = 1
    model = build(cfg)
    assert not model.backbone.conv1.weight.requires_grad
    assert not model.backbone.bn1.training


def test_heads_must_be_half_as_wide_as_the_neck():
    with pytest.raises(ValueError, match=r'rpn_head.in_channels must be 16.*got 32'):
        build(make_config(width=32))
    with pytest.raises(ValueError, match='out_channels must be even.*got 63'):
        build(make_config(width=63))
