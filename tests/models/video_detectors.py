"""Wrapped detectors at a size for tests, and batches for them."""

import warnings

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from wrapped_models import SIZE, ConstantFlow, frame, randomise

import dff  # noqa: F401
from dff.models import DFFVideoDetector

HEIGHT, WIDTH = SIZE
FPN_STRIDES = (4, 8, 16, 32, 64)
RETINA_STRIDES = (8, 16, 32, 64, 128)


def stock(name):
    """Take a stock mmdet model config, without what must be downloaded."""
    model = get_config(f'mmdet::{name}').model
    model.backbone.init_cfg = None
    model.backbone.depth = 18  # a quarter of the time; nothing else changes
    model.neck.in_channels = [64, 128, 256, 512]
    for part in (model.test_cfg, model.test_cfg.get('rcnn', {})):
        if 'score_thr' in part:
            part['score_thr'] = 0.0
    return model


def rfcn():
    """Take the shipped R-FCN's structure at a size for tests."""
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    model = Config.fromfile(root / 'configs/vid/dff_rfcn_r50_vid.py').model.detector
    model.backbone.init_cfg = None
    model.backbone.depth = 18
    model.neck.update(in_channels=512, out_channels=256)
    model.rpn_head.in_channels = model.roi_head.in_channels = 128
    model.train_cfg.rpn.allowed_border = -1  # the release's anchors outgrow the frame
    model.test_cfg.rcnn.score_thr = 0.0
    return model


MODELS_UNDER_TEST = {
    'rfcn': (rfcn, (16,), 256),
    'faster-rcnn-fpn': (
        lambda: stock('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'),
        FPN_STRIDES,
        256,
    ),
    'retinanet': (
        lambda: stock('retinanet/retinanet_r18_fpn_1x_coco.py'),
        RETINA_STRIDES,
        256,
    ),
}


def build(name, *, interval=10, flow=None, frozen=()):
    init_default_scope('mmdet')
    make, strides, channels = MODELS_UNDER_TEST[name]
    estimator = dict(
        type='FlowNetS', width=0.125, strides=strides, scale_channels=channels
    )
    if flow is not None:
        estimator = ConstantFlow(strides, flow)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = DFFVideoDetector(
            detector=make(),
            propagation=dict(type='FeaturePropagation', flow_estimator=estimator),
            key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=interval),
            frozen_modules=frozen,
        )
        model.init_weights()
    randomise(model.detector)
    return model


def sample(size=(HEIGHT, WIDTH), **meta):
    data = DetDataSample(
        metainfo=dict(
            img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), img_id=0, **meta
        )
    )
    data.gt_instances = InstanceData(
        bboxes=torch.tensor([[20.0, 30.0, 90.0, 100.0], [100.0, 10.0, 150.0, 60.0]]),
        labels=torch.tensor([0, 1]),
    )
    data.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    return data


def stream_batch(*frames):
    """Make a test batch of (seed, video id, frame id)."""
    return dict(
        inputs=[frame(seed) for seed, _, _ in frames],
        data_samples=[sample(video_id=v, frame_id=i) for _, v, i in frames],
    )


def pair_batch(is_same):
    return dict(
        inputs=dict(
            cur=[frame(i) for i in range(len(is_same))],
            key=[frame(i + 10 * (not s)) for i, s in enumerate(is_same)],
        ),
        data_samples=[
            sample(video_id=0, frame_id=5, is_same=s, offset=0 if s else 3)
            for s in is_same
        ],
    )


def predict(model, *frames):
    model.eval() if model.training else None
    with torch.no_grad():
        return model.test_step(stream_batch(*frames))


def image_predict(model, seed):
    """Run the wrapped model alone, as its own test_step does."""
    with torch.no_grad():
        return model.detector.test_step(
            dict(inputs=[frame(seed)], data_samples=[sample()])
        )[0]


def assert_same_predictions(a, b):
    for name in ('bboxes', 'scores', 'labels'):
        assert torch.equal(a.pred_instances[name], b.pred_instances[name]), name
