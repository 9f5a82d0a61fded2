"""Configs and weights of a small detector."""

import pytest
import torch
from small_inferencers import DETECTOR, make_config
from torch import nn

import dff  # noqa: F401
from dff.apis import VideoInferencer


@pytest.fixture
def frame_cfg():
    return make_config(DETECTOR)


@pytest.fixture
def dff_cfg():
    flow = dict(type='FlowNetS', width=0.0625, strides=[16], scale_channels=16)
    return make_config(
        dict(
            type='DFFVideoDetector',
            detector=DETECTOR,
            propagation=dict(type='FeaturePropagation', flow_estimator=flow),
            key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=3),
        )
    )


@pytest.fixture
def checkpoint(frame_cfg, tmp_path):
    """Weights of the image model that tell images apart."""
    torch.manual_seed(0)
    model = VideoInferencer(frame_cfg).model
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics of the batch below
    model.train()
    with torch.no_grad():
        model.extract_feat(torch.randn(4, 3, 64, 96))
    path = tmp_path / 'frame.pth'
    meta = dict(dataset_meta=dict(CLASSES=('one', 'two'), palette=[(1, 2, 3)] * 2))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path
