"""The number of proposals on propagated frames."""

import detectors_under_test as detectors
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from wrapped_models import SIZE, ConstantFlow, randomise

import dff
from dff.checks.inputs import make_sample, make_stream, prepare_config, random_frame

pytestmark = pytest.mark.filterwarnings('ignore')


def detector(name='dff_cascade-rcnn_r50_fpn_vid'):
    init_default_scope('mmdet')
    cfg = detectors.read(name)
    detectors.shrink(cfg.model.detector)
    prepare_config(cfg.model.detector)
    model = MODELS.build(cfg.model.detector)
    randomise(model)
    if hasattr(model, 'rpn_head'):  # few suppress each other
        model.rpn_head.test_cfg.nms.iou_threshold = 0.99
        torch.nn.init.zeros_(model.rpn_head.rpn_reg.weight)
    return model.eval()


@pytest.mark.parametrize('split', ['backbone', 'scores'])
def test_fewer_proposals_on_propagated_frames_only(split):
    model = detector()
    video = dff.wrap(model, interval=2, split=split, proposals=7)
    strides = video.propagation.flow_estimator.strides
    video.propagation.flow_estimator = ConstantFlow(strides, (0.0, 0.0))
    counts = []
    handle = model.roi_head.bbox_head[0].register_forward_hook(
        lambda _, inputs, outputs: counts.append(len(inputs[0]))
    )
    stream = make_stream(video, SIZE, [(0, 'a', 0), (0, 'a', 1), (0, 'a', 2)])
    key, _, next_key = video.test_step(stream)
    many = counts[0]
    assert counts == [many, 7, many] and many > 7
    assert model.rpn_head.test_cfg.max_per_img == 50
    stock = dict(
        inputs=[random_frame(0, SIZE)], data_samples=[make_sample(video, SIZE)]
    )
    (wanted,) = model.test_step(stock)
    handle.remove()
    for found in (key, next_key):
        assert torch.equal(found.pred_instances.bboxes, wanted.pred_instances.bboxes)
        assert torch.equal(found.pred_instances.scores, wanted.pred_instances.scores)


def test_propagated_frames_refine_the_best_proposals():
    """With no motion and as many proposals as the model has, all frames are alike."""
    video = dff.wrap(detector(), interval=2, proposals=50)
    strides = video.propagation.flow_estimator.strides
    video.propagation.flow_estimator = ConstantFlow(strides, (0.0, 0.0))
    stream = make_stream(video, SIZE, [(0, 'a', 0), (0, 'a', 1)])
    key, cur = (result.pred_instances for result in video.test_step(stream))
    assert torch.equal(key.bboxes, cur.bboxes) and len(key.bboxes) > 10


@pytest.mark.parametrize('number', [0, -5])
def test_numbers_below_one_are_refused(number):
    with pytest.raises(ValueError, match=f'proposals must be at least 1, got {number}'):
        dff.wrap(detector(), proposals=number)


@pytest.mark.parametrize('number', [2.0, '300', True])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(TypeError, match='proposals must be an integer or None, got'):
        dff.wrap(detector(), proposals=number)


def test_a_detector_without_proposals_is_refused():
    with pytest.raises(ValueError, match='needs a two-stage detector .* got YOLOX'):
        dff.wrap(detector('dff_yolox_s_vid'), proposals=100)
