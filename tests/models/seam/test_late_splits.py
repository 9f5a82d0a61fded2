"""Splits of stock models: in front of or behind the last learned layers.

Each family of heads passes the six checks of `check_model` at every split it has.
"""

import pytest
import segmentors_under_test as segmentors
import torch
from late_models import build
from mmengine.registry import init_default_scope
from torch import nn
from wrapped_models import SIZE, ConstantFlow, frame

from dff.checks.inputs import make_stream
from dff.checks.model import check_model
from dff.models import DFFVideoSegmentor

pytestmark = pytest.mark.filterwarnings('ignore')
slow = pytest.mark.slow


PYRAMID = (8, 16, 32, 64, 128)
CASES = [
    ('dff_retinanet_r50_fpn_vid', 'scores', PYRAMID),
    ('dff_yolox_s_vid', 'last', (8, 16, 32)),
    ('dff_yolox_s_vid', 'auto', (8, 16, 32)),
    ('dff_centernet_r18_vid', 'auto', (4,)),
    ('dff_cascade-rcnn_r50_fpn_vid', 'auto', (4, 8, 16, 32, 64)),
    ('dff_detr_r50_vid', 'auto', (32,)),
    ('dff_deformable-detr_r50_vid', 'auto', (8, 16, 32, 64)),
    ('fcn', 'last', (8, 8)),  # the decode head, the auxiliary head
    pytest.param('fcn', 'scores', (8, 8), marks=slow),
    ('segformer', 'auto', (4,)),
    pytest.param('dff_retinanet_r50_fpn_vid', 'last', PYRAMID, marks=slow),
    pytest.param('dff_fcos_r50_fpn_vid', 'last', PYRAMID, marks=slow),
    pytest.param('dff_atss_r50_fpn_vid', 'last', PYRAMID, marks=slow),
    pytest.param('dff_rtmdet_tiny_vid', 'last', (8, 16, 32), marks=slow),
    pytest.param('dff_centernet_r18_vid', 'last', (4,), marks=slow),
    pytest.param('dff_fcos_r50_fpn_vid', 'scores', PYRAMID, marks=slow),
    pytest.param('dff_atss_r50_fpn_vid', 'auto', PYRAMID, marks=slow),
    pytest.param('dff_rtmdet_tiny_vid', 'auto', (8, 16, 32), marks=slow),
    pytest.param('dff_mask-rcnn_r50_fpn_masks', 'auto', (4, 8, 16, 32, 64), marks=slow),
    pytest.param('dff_dino-4scale_r50_vid', 'auto', (8, 16, 32, 64), marks=slow),
    pytest.param('deeplabv3plus', 'last', (4, 8), marks=slow),
    pytest.param('deeplabv3plus', 'scores', (4, 8), marks=slow),
    pytest.param('pspnet', 'auto', (8, 8), marks=slow),
    pytest.param('upernet-swin', 'last', (4, 16), marks=slow),
    *(
        pytest.param(name, split, strides, marks=slow)
        for name, strides in (
            ('gfl', PYRAMID),
            ('yolov3', (8, 16, 32)),
            ('segnext', (8,)),
            ('bisenetv1', (8, 8, 16)),
            ('bisenetv2', (8, 4, 8, 16, 32)),
            ('ddrnet', (8, 8)),  # the second level in training
            ('pidnet', (8, 8)),
        )
        for split in ('last', 'scores')
    ),
    pytest.param('vfnet', 'last', PYRAMID, marks=slow),
    pytest.param('vfnet', 'scores', PYRAMID * 2, marks=slow),
    pytest.param('conditional-detr', 'auto', (32,), marks=slow),
    pytest.param('dab-detr', 'auto', (32,), marks=slow),
    pytest.param('mask2former', 'auto', (4, 8, 16, 32), marks=slow),
]


@pytest.mark.parametrize('name, split, strides', CASES)
def test_it_is_a_dff_model(name, split, strides):
    model = build(name, split)
    assert model.propagation.flow_estimator.strides == strides
    problems = [f for f in check_model(model, size=SIZE) if f.problem is not None]
    assert not problems


def learned_layers_run_on_a_propagated_frame(model, batch):
    names = []
    handles = [
        module.register_forward_hook(lambda *_, n=name: names.append(n))
        for name, module in model.image_model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
    ]
    with torch.no_grad():
        for index in range(2):
            names.clear()
            model.test_step(batch(index))
    for handle in handles:
        handle.remove()
    return set(names)


@pytest.mark.parametrize(
    'split, layers', [('last', {'decode_head.conv_seg'}), ('scores', set())]
)
def test_n_task_of_a_segmentor_is_one_layer_or_none(split, layers):
    model = build('fcn', split)

    def batch(index):
        return segmentors.stream_batch((index, 'a', index))

    assert learned_layers_run_on_a_propagated_frame(model, batch) == layers


@pytest.mark.parametrize(
    'name, split, layers',
    [
        ('dff_retinanet_r50_fpn_vid', 'scores', set()),
        ('dff_fcos_r50_fpn_vid', 'last', {'conv_cls', 'conv_reg', 'conv_centerness'}),
    ],
)
def test_n_task_of_a_dense_head_is_one_layer_or_none(name, split, layers):
    model = build(name, split)

    def batch(index):
        return make_stream(model, SIZE, [(index, 'a', index)])

    found = learned_layers_run_on_a_propagated_frame(model, batch)
    assert found == {f'bbox_head.{layer}' for layer in layers}


@pytest.mark.parametrize('split', ['last', 'scores'])
def test_boxes_move_with_the_flow_on_a_shifting_video(split):
    """Box deltas are relative to their cell: boxes move as far as their cells do."""
    shift = 128.0  # pixels, whole cells of every level
    model = build('dff_fcos_r50_fpn_vid', split)
    strides = model.propagation.flow_estimator.strides
    model.propagation.flow_estimator = ConstantFlow(strides, (-shift, 0.0))
    head = model.detector.bbox_head
    torch.nn.init.normal_(head.conv_reg.weight, std=0.1)
    torch.nn.init.constant_(head.conv_reg.bias, 2.0)  # sides of about 2 e^2 pixels
    cfg = dict(nms_pre=10**6, max_per_img=10**6, score_thr=0.0)
    head.test_cfg.update(**cfg)
    head.test_cfg.nms.update(iou_threshold=1.0)  # suppression is not local
    head.num_classes = head.cls_out_channels = 1
    head.conv_cls = nn.Conv2d(32, 1, 3, padding=1)
    batch = make_stream(model, (128, 512), [(1, 'a', 0), (2, 'a', 1)])
    still, moved = (r.pred_instances for r in model.test_step(batch))
    # Not cut off by the frame, nor beside cells that leave it.
    x1, y1, x2, y2 = still.bboxes.unbind(dim=1)
    inside = (x1 > 0) & (y1 > 0) & (y2 < 128) & (x2 < 512 - 2 * shift)
    assert inside.sum() > 300
    boxes = still.bboxes[inside] + torch.tensor([shift, 0, shift, 0])
    wanted = torch.cat([boxes, still.scores[inside, None]], dim=1)
    found = torch.cat([moved.bboxes, moved.scores[:, None]], dim=1)
    gaps = torch.cdist(wanted, found, p=float('inf')).amin(dim=1)
    assert gaps.max() < 1e-3


def test_nothing_is_seen_where_the_key_frame_saw_nothing():
    """Scores of 0 are half a detection after the sigmoid; the mean score is none."""
    model = build('dff_retinanet_r50_fpn_vid', 'scores')
    strides = model.propagation.flow_estimator.strides
    torch.nn.init.normal_(model.detector.bbox_head.retina_cls.weight, std=0.001)
    torch.nn.init.constant_(model.detector.bbox_head.retina_cls.bias, -4.6)
    model.propagation.flow_estimator = ConstantFlow(strides, (-4096.0, 0.0))
    batch = make_stream(model, SIZE, [(1, 'a', 0), (2, 'a', 1)])
    _, moved = (r.pred_instances for r in model.test_step(batch))
    assert (moved.scores < 0.1).all()


def test_auto_takes_the_cheaper_of_the_two():
    """512 channels and the classifier, or 19 channels."""
    assert build('fcn', 'auto').split_point.is_behind
    assert not build('fcn', 'last').split_point.is_behind


def test_a_flow_without_weights_needs_no_strides_and_the_default_is_auto():
    init_default_scope('mmseg')
    model = DFFVideoSegmentor(segmentors.stock('fcn')).eval()
    assert model.split == 'auto'
    assert model.propagation.flow_estimator.strides == (8, 8)
    with torch.no_grad():
        results = model.test_step(segmentors.stream_batch((0, 'a', 0), (1, 'a', 1)))
    assert [r.is_key_frame for r in results] == [True, False]


def test_strides_in_a_config_mean_the_end_of_extract_feat():
    init_default_scope('mmseg')
    flow = dict(type='ClassicalFlow', strides=(8, 8))
    model = DFFVideoSegmentor(
        segmentors.stock('fcn'), dict(type='FeaturePropagation', flow_estimator=flow)
    )
    assert model.split is None and model.split_point is None


def test_pidnet_trains_behind_its_scores():
    """Its three maps of training are propagated; in prediction only one."""
    flow = dict(type='ClassicalFlow')
    model = build('pidnet', 'auto', flow)
    assert model.split_point.is_behind
    _, loss = segmentors.step(model.train(), torch.optim.SGD(model.parameters(), 1e-3))
    assert torch.isfinite(loss)


def test_frames_of_other_sizes_than_the_probe():
    model = build('fcn', 'scores')
    size = (72, 104)
    with torch.no_grad():
        batch = dict(
            inputs=[frame(i, size=size) for i in range(2)],
            data_samples=[
                segmentors.sample(size, video_id='a', frame_id=i) for i in range(2)
            ],
        )
        results = model.test_step(batch)
    assert results[1].pred_sem_seg.data.shape == (1, *size)
