"""The authors' weights: where each of them goes."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from mxnet_files import parity_folder
from released_models import CONFIG, build, thin_network
from torch.testing import assert_close

from dff.converters.weights.mxnet_convert import convert_arrays
from dff.converters.weights.mxnet_names import backbone_name, flow_name, video_sources

CLASSES, BINS, ANCHORS = 30, 49, 9


@pytest.fixture(scope='module')
def thin():
    return thin_network()


def convert(cfg, arrays):
    """Convert and load into a model of that config."""
    done = convert_arrays(arrays, cfg)
    model = build(cfg)
    model.load_state_dict(done.state_dict)
    return model, done


def zeroed(arrays, **changed):
    """The same arrays with heads that are 0 but for what is said."""
    heads = ('arg:rpn_', 'arg:rfcn_')
    new = {k: v * 0 if k.startswith(heads) else v for k, v in arrays.items()}
    return new | {f'arg:{name}': value for name, value in changed.items()}


def test_every_name_of_the_release_has_its_place(dff_data):
    spec = json.loads((parity_folder(dff_data) / 'spec.json').read_text())
    shapes = {**spec['arg'], **spec['aux']}
    assert len(shapes) == 578
    model = build(Config.fromfile(CONFIG).model)
    own, sources = model.state_dict(), video_sources(model)
    assert sorted(source.name for source in sources.values()) == sorted(shapes)
    for key, source in sources.items():
        assert list(source.shape(tuple(own[key].shape))) == shapes[source.name], key
    left = [k for k in own if k not in sources and 'num_batches' not in k]
    assert left == []


@pytest.mark.parametrize(
    'key, name',
    [
        ('conv1.weight', 'conv1_weight'),
        ('bn1.running_var', 'bn_conv1_moving_var'),
        ('layer1.0.downsample.0.weight', 'res2a_branch1_weight'),
        ('layer1.2.conv3.weight', 'res2c_branch2c_weight'),
        ('layer2.0.downsample.1.bias', 'bn3a_branch1_beta'),
        ('layer2.3.bn1.weight', 'bn3b3_branch2a_gamma'),
        ('layer3.22.bn2.running_mean', 'bn4b22_branch2b_moving_mean'),
        ('layer4.1.conv2.weight', 'res5b_branch2b_weight'),
    ],
)
def test_names_of_the_backbone(key, name):
    assert backbone_name(key, 101) == name


def test_names_of_other_depths():
    assert backbone_name('layer3.5.conv1.weight', 50) == 'res4f_branch2a_weight'
    with pytest.raises(ValueError, match=r'ResNet with bottlenecks.*stem\.0\.weight'):
        backbone_name('stem.0.weight', 50)


@pytest.mark.parametrize(
    'key, name',
    [
        ('conv1.bias', 'flow_conv1_bias'),
        ('conv3_1.weight', 'conv3_1_weight'),
        ('predict_flow6.weight', 'Convolution1_weight'),
        ('predict_flow2.bias', 'Convolution5_bias'),
        ('predict_scale.0.bias', 'Convolution5_scale_bias'),
        ('upsample_flow6to5.weight', 'upsample_flow6to5_weight'),
    ],
)
def test_names_of_the_flow_network(key, name):
    assert flow_name(key) == name


def test_weights_come_over_as_they_are(thin):
    cfg, arrays = thin
    state = convert(cfg, arrays)[1].state_dict
    for key, name in {
        'detector.backbone.bn1.running_var': 'aux:bn_conv1_moving_var',
        'detector.backbone.layer2.0.bn3.weight': 'arg:bn3a_branch2c_gamma',
        'detector.neck.conv.conv.weight': 'arg:feat_conv_3x3_weight',
        'detector.rpn_head.rpn_reg.weight': 'arg:rpn_bbox_pred_weight',
        'propagation.flow_estimator.deconv5.weight': 'arg:deconv5_weight',
        'propagation.flow_estimator.predict_flow2.bias': 'arg:Convolution5_bias',
    }.items():
        assert (state[key].numpy() == arrays[name]).all(), key
    assert all(value.dtype != torch.float64 for value in state.values())


def released_anchors():
    """Anchors of the cell at the origin, in the release's order, as a loop."""
    for ratio in (0.5, 1, 2):
        width = np.round(np.sqrt(256 / ratio))
        height = np.round(width * ratio)
        for scale in (8, 16, 32):
            half = np.array([width, height]) * scale / 2 - 0.5
            yield [*(7.5 - half), *(7.5 + half)]


@pytest.mark.parametrize('anchor', range(ANCHORS))
def test_objectness_and_deltas_belong_to_their_anchor(thin, anchor):
    cfg, arrays = thin
    scores = np.zeros(2 * ANCHORS, np.float32)
    scores[:ANCHORS] = 3  # background of every anchor
    scores[ANCHORS + anchor] = 7  # object
    deltas = np.zeros(4 * ANCHORS, np.float32)
    deltas[4 * anchor : 4 * anchor + 4] = [1, -2, 0, 0]  # in tenths of a side
    changed = zeroed(arrays, rpn_cls_score_bias=scores, rpn_bbox_pred_bias=deltas)
    head = convert(cfg, changed)[0].detector.rpn_head
    cls, reg = head((torch.zeros(1, 16, 1, 1),))
    meta = dict(img_shape=(4000, 4000))
    best = head.predict_by_feat(cls, reg, batch_img_metas=[meta])[0][0]
    assert_close(best.scores.item(), 1 / (1 + np.exp(3 - 7)))
    x1, y1, x2, y2 = list(released_anchors())[anchor]
    dx, dy = 0.1 * (x2 - x1 + 1), -0.2 * (y2 - y1 + 1)
    wanted = torch.tensor([x1 + dx, y1 + dy, x2 + dx, y2 + dy]).clamp(min=0)
    assert_close(best.bboxes[0], wanted.float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize('released, ours', [(0, 30), (1, 0), (2, 1), (30, 29)])
def test_classes_and_their_bins(thin, released, ours):
    cfg, arrays = thin
    bias = np.zeros(BINS * (CLASSES + 1), np.float32)
    bias[released * BINS : (released + 1) * BINS] = np.arange(BINS) + 1
    model = convert(cfg, zeroed(arrays, rfcn_cls_bias=bias))[0]
    rois = torch.tensor([[0, 0.0, 0, 111, 111]])
    head, feat = model.detector.roi_head, (torch.zeros(1, 16, 7, 7),)
    pooled = head.pool_bins(head.score_maps(feat)[0], rois)[0]  # (K + 1, P, P)
    assert pooled.flatten(1).any(dim=1).nonzero().flatten().tolist() == [ours]
    assert pooled[ours].flatten().tolist() == list(range(1, BINS + 1))
    scores, _ = head(feat, [InstanceData(bboxes=rois[:, 1:])])
    assert scores.argmax().item() == ours


def boxes_of(cfg, arrays, **changed):
    """The deltas of any RoI, in units of the release's output in test."""
    model, done = convert(cfg, zeroed(arrays, **changed))
    roi = InstanceData(bboxes=torch.tensor([[0.0, 0, 111, 111]]))
    _, deltas = model.detector.roi_head((torch.zeros(1, 16, 7, 7),), [roi])
    return (deltas[0] * torch.tensor([0.1, 0.1, 0.2, 0.2])).tolist(), done.notes


def test_boxes_are_those_of_the_object_class(thin):
    cfg, arrays = thin
    plain = np.float32([9, 9, 9, 9, 1, 2, 3, 4]).repeat(BINS)
    deltas, _ = boxes_of(cfg, arrays, rfcn_bbox_bias=plain)
    assert deltas == pytest.approx([0.1, 0.2, 0.6, 0.8])


def test_deviations_folded_into_the_boxes(thin):
    cfg, arrays = thin
    folded = np.float32([9, 9, 9, 9, 0.1, 0.2, 0.6, 0.8]).repeat(BINS)
    weight = arrays['arg:rfcn_bbox_weight']
    factors = np.tile(np.float32([0.1, 0.1, 0.2, 0.2]), 2).repeat(BINS)
    both = dict(
        rfcn_bbox_weight_test=weight * factors[:, None, None, None],
        rfcn_bbox_weight=weight,
        rfcn_bbox_bias_test=folded,
        rfcn_bbox_bias=folded / factors,
    )
    deltas, notes = boxes_of(cfg, arrays, **both)
    assert deltas == pytest.approx([0.1, 0.2, 0.6, 0.8])
    assert not any('which is used' in note for note in notes)
    state = convert_arrays(zeroed(arrays, **both), cfg).state_dict
    weights = torch.from_numpy(weight[4 * BINS :])
    assert_close(state['detector.roi_head.rfcn_reg.weight'], weights)

    other = dict(both, rfcn_bbox_bias=folded * 0)  # test takes the folded one
    deltas, notes = boxes_of(cfg, arrays, **other)
    assert deltas == pytest.approx([0.1, 0.2, 0.6, 0.8])
    expected = 'rfcn_bbox_bias differs from rfcn_bbox_bias_test'
    assert any(expected in note for note in notes)

    alone = zeroed(arrays, **{k: v for k, v in both.items() if k.endswith('_test')})
    del alone['arg:rfcn_bbox_weight'], alone['arg:rfcn_bbox_bias']
    state = convert_arrays(alone, cfg).state_dict
    assert_close(state['detector.roi_head.rfcn_reg.weight'], weights)
