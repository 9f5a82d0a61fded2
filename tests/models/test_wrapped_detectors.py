"""Stock detectors of mmdet, wrapped by the configs of configs/wrapped.

A config of your own is checked too: DFF_CHECK_CONFIGS=mine.py pytest THIS FILE
"""

import numpy as np
import pytest
import torch
from detectors_under_test import OWN, STOCK, build, read
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData
from torch.nn.modules.batchnorm import _BatchNorm
from wrapped_models import SIZE, ConstantFlow, frame

import dff  # noqa: F401  (registers the classes)
from dff.checks.model import check_model

# Parameters that no box of the two frames trains, or no anchor that was drawn: of
# levels for larger boxes.
UNTRAINED = {
    'dff_mask-rcnn_r50_fpn_masks': ('fpn_convs.3', 'scale.3', 'scale.4'),
    'dff_cascade-rcnn_r50_fpn_vid': ('fpn_convs.3', 'scale.3', 'scale.4'),
    'dff_fcos_r50_fpn_vid': ('bbox_head.scales.',),
    'dff_atss_r50_fpn_vid': ('bbox_head.scales.',),
}


@pytest.fixture(params=STOCK)
def name(request):
    return request.param


def sample(size=SIZE, *, with_mask=False, **meta):
    height, width = size
    shapes = dict(img_shape=size, ori_shape=size, pad_shape=size)
    data = DetDataSample(
        metainfo=dict(
            shapes,
            scale_factor=(1.0, 1.0),
            img_id=0,
            border=(0, 0, 0, 0),
            **meta,
        )
    )
    boxes = torch.tensor([[20.0, 30.0, 90.0, 100.0], [100.0, 10.0, 150.0, 60.0]])
    data.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([0, 1]))
    data.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    if with_mask:
        masks = np.zeros((2, height, width), np.uint8)
        masks[0, 30:100, 20:90] = masks[1, 10:60, 100:150] = 1
        data.gt_instances.masks = BitmapMasks(masks, height, width)
    return data


@torch.no_grad()
def stream(model, frames, *, size=SIZE):
    """Predict frames (seed, video, frame id) in one test batch."""
    data = dict(
        inputs=[frame(seed, size=size) for seed, _, _ in frames],
        data_samples=[sample(size, video_id=v, frame_id=i) for _, v, i in frames],
    )
    return model.test_step(data)


def assert_equal(ours, wanted, *, tolerance=0.0):
    """Compare all that is predicted, masks too."""
    ours, wanted = ours.pred_instances, wanted.pred_instances
    assert len(wanted) > 0 and set(ours.keys()) == set(wanted.keys())
    for key in wanted.keys():
        a, b = torch.as_tensor(ours[key]), torch.as_tensor(wanted[key])
        if tolerance and a.is_floating_point():
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
        else:
            assert torch.equal(a, b), key


@pytest.mark.parametrize('config', [*STOCK, *OWN])
def test_checks_pass(config):
    findings = check_model(build(config))
    assert [f'{f.check}: {f.problem}' for f in findings if f.problem] == []


def test_the_model_config_is_the_stock_one(name):
    """Only the number of classes differs, and where frames are padded."""
    from mmengine.hub import get_config

    base = {
        'dff_mask-rcnn_r50_fpn_masks': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        'dff_cascade-rcnn_r50_fpn_vid': 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
        'dff_fcos_r50_fpn_vid': 'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
        'dff_atss_r50_fpn_vid': 'atss/atss_r50_fpn_1x_coco.py',
        'dff_rtmdet_tiny_vid': 'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
        'dff_yolox_s_vid': 'yolox/yolox_s_8xb8-300e_coco.py',
        'dff_centernet_r18_vid': 'centernet/centernet_r18_8xb16-crop512-140e_coco.py',
        'dff_detr_r50_vid': 'detr/detr_r50_8xb2-150e_coco.py',
        'dff_deformable-detr_r50_vid': (
            'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py'
        ),
        'dff_dino-4scale_r50_vid': 'dino/dino-4scale_r50_8xb2-12e_coco.py',
    }[name]
    wanted = strip(get_config(f'mmdet::{base}').model.to_dict())
    ours = strip(read(name).model.detector.to_dict())
    if name in ('dff_centernet_r18_vid', 'dff_rtmdet_tiny_vid'):
        assert ours['data_preprocessor'].pop('pad_size_divisor') == 32
    assert ours == wanted


def strip(node):
    """Leave out scopes and numbers of classes."""
    if isinstance(node, dict):
        left = {k: v for k, v in node.items() if k not in ('_scope_', 'num_classes')}
        return {k: strip(v) for k, v in left.items()}
    return [strip(v) for v in node] if isinstance(node, (list, tuple)) else node


def test_training_moves_all_but_what_is_frozen(name):
    model = build(name).train()
    MessageHub.get_current_instance().update_info('iter', 0)
    detector = model.detector
    with_mask = detector.with_mask
    before = {k: v.clone() for k, v in model.state_dict().items()}
    still_norms = [
        key
        for key, m in model.named_modules()
        if isinstance(m, _BatchNorm) and not m.training
    ]
    if 'ResNet' in type(detector.backbone).__name__ and detector.backbone.norm_eval:
        assert any(key.endswith('layer4.0.bn1') for key in still_norms)
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=1e-4
    )
    for offset in (3, 4):
        meta = dict(video_id=0, frame_id=9, is_same=False, offset=offset)
        data = dict(
            inputs=dict(
                cur=[frame(0), frame(1)], key=[frame(offset), frame(offset + 7)]
            ),
            data_samples=[sample(with_mask=with_mask, **meta) for _ in range(2)],
        )
        data = model.data_preprocessor(data, training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = model.state_dict()
    untrained = UNTRAINED.get(name, ())
    unmoved = [
        key
        for key, p in model.named_parameters()
        if p.requires_grad and torch.equal(after[key], before[key])
    ]
    assert [k for k in unmoved if not any(u in k for u in untrained)] == []
    frozen = [k for k, p in model.named_parameters() if not p.requires_grad]
    frozen += [f'{key}.running_mean' for key in still_norms]
    frozen += [f'{key}.running_var' for key in still_norms]
    assert all(torch.equal(after[key], before[key]) for key in frozen)
    if getattr(detector.backbone, 'frozen_stages', -1) >= 1:
        assert 'detector.backbone.layer1.0.conv1.weight' in frozen


def test_every_frame_with_interval_one_is_the_stock_prediction(name):
    model = build(name, interval=1)
    for seed in (3, 4):
        with torch.no_grad():
            wanted = model.detector.test_step(
                dict(inputs=[frame(seed)], data_samples=[sample()])
            )
        assert_equal(stream(model, [(seed, 'a', seed)])[0], wanted[0])


def shifted(feat, dx, dy):
    """Loop over rows and columns: out[y, x] = feat[y + dy, x + dx], zero outside."""
    out = torch.zeros_like(feat)
    height, width = feat.shape[-2:]
    for y in range(height):
        for x in range(width):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                out[..., y, x] = feat[..., y + dy, x + dx]
    return out


def run_heads(detector, feats, data):
    """Call the heads as mmdet's own `predict` does once it has features."""
    if hasattr(detector, 'roi_head'):
        proposals = detector.rpn_head.predict(feats, [data], rescale=False)
        return detector.roi_head.predict(feats, proposals, [data], rescale=True)[0]
    if hasattr(detector, 'forward_transformer'):
        hidden = detector.forward_transformer(feats, [data])
        head, samples = detector.bbox_head, [data]
        return head.predict(**hidden, rescale=True, batch_data_samples=samples)[0]
    return detector.bbox_head.predict(feats, [data], rescale=True)[0]


def test_oracle_flow_equals_heads_on_moved_features(name):
    strides = read(name).model.propagation.flow_estimator.strides
    coarsest = max(strides)
    shift = (2 * coarsest, -coarsest)
    size = (max(128, 4 * coarsest), max(192, 5 * coarsest))
    model = build(name)
    model.propagation.flow_estimator = ConstantFlow(strides, tuple(map(float, shift)))
    frames = [(1, 'a', 0), (2, 'a', 1)]
    result = [stream(model, [f], size=size)[0] for f in frames][1]
    assert result.offset == 1
    with torch.no_grad():
        batch = model.detector.data_preprocessor(
            dict(inputs=[frame(1, size=size)], data_samples=[sample(size)]), False
        )
        feats = model.detector.extract_feat(batch['inputs'])

        def wanted(dx, dy):
            moved = []
            for feat, stride in zip(feats, strides, strict=True):
                assert feat.shape[-1] == size[1] // stride
                moved.append(shifted(feat, dx // stride, dy // stride))
            data = DetDataSample(metainfo=batch['data_samples'][0].metainfo)
            found = run_heads(model.detector, tuple(moved), data)
            return DetDataSample(pred_instances=found)

        assert_equal(result, wanted(*shift), tolerance=1e-4)
        for wrong in ((0, 0), (-shift[0], -shift[1]), (shift[1], shift[0])):
            with pytest.raises(AssertionError):
                assert_equal(result, wanted(*wrong), tolerance=1e-4)


@pytest.mark.parametrize('count', [5, 8])
def test_stock_test_batches_of_several_videos_equal_batch_one(count):
    """RTMDet's stock test batch is 5, YOLOX's is 8."""
    model = build(
        'dff_rtmdet_tiny_vid' if count == 5 else 'dff_yolox_s_vid', interval=2
    )
    frames = [(0, 'a', 3), (1, 'a', 4), (2, 'b', 0), (3, 'b', 1), (4, 'b', 2)]
    frames += [(5, 'c', 7), (6, 'a', 5), (7, 'a', 6)]
    single = [stream(model, [f])[0] for f in frames[:count]]
    model.reset_stream()
    for ours, wanted in zip(stream(model, frames[:count]), single, strict=True):
        assert_equal(ours, wanted)
        assert ours.offset == wanted.offset


def test_yolox_resizes_current_and_key_frame_alike():
    """Its preprocessor draws a size every ten iterations, one for both frames."""
    model = build('dff_yolox_s_vid').train()
    augment = model.detector.data_preprocessor.batch_augments[0]
    hub, sizes = MessageHub.get_current_instance(), set()
    for iteration in range(25):
        hub.update_info('iter', iteration)
        data = dict(
            inputs=dict(cur=[frame(0)], key=[frame(0)]),
            data_samples=[sample(video_id=0, frame_id=1, is_same=False, offset=1)],
        )
        batch = model.data_preprocessor(data, training=True)
        assert torch.equal(batch['inputs']['cur'], batch['inputs']['key'])
        assert tuple(batch['inputs']['cur'].shape[-2:]) == (
            batch['data_samples'][0].batch_input_shape
        )
        sizes.add(batch['data_samples'][0].batch_input_shape)
        box = batch['data_samples'][0].gt_instances.bboxes[0]
        wanted = 20 * batch['inputs']['cur'].shape[-1] / SIZE[1]
        assert float(box[0]) == pytest.approx(wanted, rel=1e-3)
    assert len(sizes) > 1
    augment._input_size = None
