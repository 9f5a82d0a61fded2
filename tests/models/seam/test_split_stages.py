"""Stock models split at the end of a stage: all levels before it are propagated."""

import pytest
import torch
from mmengine.hub import get_config
from split_models import SIZE, image_predict, pair_batch, predict, wrap
from wrapped_models import frame

BASE = 8  # channels of a ResNet's narrowest stage


def stock_detector(name):
    """Take a stock detector on a thin ResNet-18."""
    model = get_config(f'mmdet::{name}').model
    model.backbone.update(
        depth=18, base_channels=BASE, stem_channels=BASE, init_cfg=None
    )
    model.neck.update(in_channels=[BASE, 2 * BASE, 4 * BASE, 8 * BASE], out_channels=32)
    for head in ('rpn_head', 'bbox_head'):
        if head in model:
            model[head].update(in_channels=32, feat_channels=32)
    if 'roi_head' in model:
        model.roi_head.bbox_roi_extractor.out_channels = 32
        model.roi_head.bbox_head.update(in_channels=32, fc_out_channels=32)
        model.test_cfg.rpn.update(nms_pre=50, max_per_img=20)
        model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=20)
    else:
        model.bbox_head.stacked_convs = 1
        model.test_cfg.update(score_thr=0.0, nms_pre=50, max_per_img=20)
    return model


def stock_segmentor():
    """Take FCN on ResNet-18, whose auxiliary head reads level 2 in training."""
    name = 'fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    model = get_config(f'mmseg::{name}').model
    model.pretrained = None
    model.data_preprocessor.size = SIZE
    model.backbone.update(base_channels=BASE, stem_channels=BASE)
    model.backbone.norm_cfg = model.decode_head.norm_cfg = dict(type='BN')
    model.auxiliary_head.norm_cfg = dict(type='BN')
    model.decode_head.update(in_channels=8 * BASE, channels=BASE, num_classes=3)
    model.auxiliary_head.update(in_channels=4 * BASE, channels=BASE, num_classes=3)
    return model


FASTER = 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
RETINA = 'retinanet/retinanet_r50_fpn_1x_coco.py'
# what is propagated: (stride, channels) of each map
CASES = {
    ('faster', 'layer2'): [(4, BASE), (8, 2 * BASE)],
    ('faster', 'layer3'): [(4, BASE), (8, 2 * BASE), (16, 4 * BASE)],
    ('retina', 'layer1'): [(4, BASE)],
    # its FPN does not read the first level
    ('retina', 'layer3'): [(8, 2 * BASE), (16, 4 * BASE)],
    ('fcn', 'layer1'): [(4, BASE)],
    ('fcn', 'layer2'): [(8, 2 * BASE)],
    # the auxiliary head reads layer3
    ('fcn', 'layer4'): [(8, 4 * BASE), (8, 8 * BASE)],
}


def make(name):
    if name == 'fcn':
        return 'segmentor', stock_segmentor()
    return 'detector', stock_detector(FASTER if name == 'faster' else RETINA)


@pytest.mark.parametrize('name, split', list(CASES))
def test_stage_boundaries_of_stock_models(name, split):
    task, model = make(name)
    strides, channels = zip(*CASES[name, split], strict=True)
    video = wrap(task, model, split=split).train()
    flow = video.propagation.flow_estimator
    assert (flow.strides, tuple(flow.scale_channels)) == (strides, channels)
    for scale in flow.predict_scale:
        torch.nn.init.normal_(scale.weight, std=0.01)
    data = video.data_preprocessor(pair_batch(task, [False, True]), training=True)
    loss, _ = video.parse_losses(video(**data, mode='loss'))
    loss.backward()
    assert not [
        n for n, p in video.named_parameters() if p.requires_grad and p.grad is None
    ]

    video = wrap(task, make(name)[1], split=split, flow=(0.0, 0.0), strides=strides)
    image = frame(1, size=SIZE)
    wanted = image_predict(video, task, image)
    assert len(wanted[0])
    calls = []
    backbone = video.image_model.backbone
    for index in range(1, 5):
        backbone.get_submodule(f'layer{index}').register_forward_hook(
            lambda *_, i=index: calls.append(i)
        )
    first, second = predict(video, task, [image, image])
    for found in (first, second):
        for a, b in zip(found, wanted, strict=True):
            assert torch.equal(a, b)
    assert calls == [1, 2, 3, 4, *range(int(split[-1]) + 1, 5)]


def test_what_has_no_stages_or_is_not_the_papers_is_refused():
    task, model = make('faster')
    with pytest.raises(ValueError, match=r'model of the paper.*FasterRCNN.*stage'):
        wrap(task, model, split=5)
    with pytest.raises(ValueError, match=r'model of the paper.*auxiliary'):
        wrap('segmentor', stock_segmentor(), split=0)
    segformer = get_config(
        'mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py'
    ).model
    segformer.pretrained = segformer.backbone.init_cfg = None
    with pytest.raises(ValueError, match='chain of stages.*MixVisionTransformer'):
        wrap('segmentor', segformer, split='layer3')
