"""Models so small that their features can be computed by hand, for both tasks."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from dff.apis import VideoInferencer

CELL = 8
CHANNELS = 6
GREY = 100  # the mean: features of plain grey are 0
SIZE = (64, 96)
META = dict(classes=('a', 'b', 'c'), palette=[(250, 10, 20), (0, 200, 0), (9, 9, 255)])


@MODELS.register_module(force=True)
class PatchBackbone(nn.Module):
    """Linear functions of blocks of 8 x 8 pixels, then ReLU."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, CELL, stride=CELL, bias=False)

    def forward(self, images):
        return (self.conv(images).relu(),)


@MODELS.register_module(force=True)
class GivenFlow(nn.Module):
    """The flow (x, y), in cells, and the scale that a test asks for."""

    strides = (CELL,)
    flow_stride = CELL

    def __init__(self, flow=(0, 0), scale=None):
        super().__init__()
        self.flow, self.scale = flow, scale

    def forward(self, cur, key, levels=None):
        n, _, height, width = cur.shape
        size = (-(-height // CELL), -(-width // CELL))
        flow = cur.new_zeros(n, 2, *size)
        flow += torch.tensor(self.flow, dtype=cur.dtype).view(1, 2, 1, 1)
        if self.scale is None:
            return flow, None
        return flow, cur.new_full((n, CHANNELS, *size), self.scale)


NORMALISE = dict(mean=[GREY] * 3, std=[10] * 3, bgr_to_rgb=True)
SEGMENTOR = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', **NORMALISE),
    backbone=dict(type='PatchBackbone'),
    decode_head=dict(
        type='FCNHead',
        in_channels=CHANNELS,
        channels=CHANNELS,
        in_index=0,
        num_convs=0,
        concat_input=False,
        num_classes=3,
        align_corners=False,
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
DETECTOR = dict(
    type='RetinaNet',
    data_preprocessor=dict(type='DetDataPreprocessor', **NORMALISE),
    backbone=dict(type='PatchBackbone'),
    neck=dict(
        type='mmdet.ChannelMapper',
        in_channels=[CHANNELS],
        out_channels=CHANNELS,
        kernel_size=1,
        act_cfg=None,
    ),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=3,
        in_channels=CHANNELS,
        stacked_convs=1,
        feat_channels=CHANNELS,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[2, 4], ratios=[1.0], strides=[CELL]
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
    ),
    test_cfg=dict(
        nms_pre=100,
        min_bbox_size=0,
        score_thr=0.0,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=5,
    ),
)
TASKS = {
    'segmentor': ('mmseg', SEGMENTOR, 'PackSegInputs'),
    'detector': ('mmdet', DETECTOR, 'PackDetInputs'),
}


@pytest.fixture
def image_config():
    """Return a function that gives the image model's config of a task."""

    def make(task='segmentor'):
        scope, model, pack = TASKS[task]
        pipeline = [dict(type='LoadImageFromFile'), dict(type=pack)]
        if task == 'detector':
            pipeline[1]['meta_keys'] = ('img_shape', 'ori_shape', 'scale_factor')
            resize = dict(type='Resize', scale=SIZE[::-1], keep_ratio=True)
            pipeline.insert(1, resize)
        dataset = dict(type='Any', pipeline=pipeline, metainfo=META)
        return Config(
            dict(
                default_scope=scope,
                model=model,
                test_dataloader=dict(batch_size=1, dataset=dataset),
            )
        )

    return make


@pytest.fixture
def dff_config(image_config):
    """Return a function that gives the DFF model's config, with a given flow."""

    def make(task='segmentor', **flow):
        cfg = image_config(task)
        cfg.model = {
            'type': f'DFFVideo{task.capitalize()}',
            task: cfg.model,
            'propagation': dict(
                type='FeaturePropagation',
                flow_estimator=dict(type='mmengine.GivenFlow', **flow),
            ),
        }
        return cfg

    return make


@pytest.fixture
def checkpoint(image_config, tmp_path):
    """Return a function that writes seeded weights of the image model of a task."""

    def make(task='segmentor'):
        torch.manual_seed(1)
        model = VideoInferencer(image_config(task)).model
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
        path = tmp_path / f'{task}.pth'
        meta = dict(dataset_meta=META)
        torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
        return path

    return make


@pytest.fixture
def moving_video():
    """Return a function: a textured patch on grey that moves by cells a frame."""

    def make(count=4, *, step=(2, 1)):
        texture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
        frames = []
        for i in range(count):
            frame = np.full((*SIZE, 3), GREY, np.uint8)
            x, y = CELL + i * step[0] * CELL, CELL + i * step[1] * CELL
            frame[y : y + 24, x : x + 32] = texture
            frames.append(frame)
        return frames

    return make


@pytest.fixture
def features_by_hand():
    """Return a function that computes N_feat of a BGR frame in loops."""

    def compute(frame, weight):
        rgb = (frame[..., ::-1].astype(np.float64) - GREY) / 10
        height, width = frame.shape[0] // CELL, frame.shape[1] // CELL
        feats = np.zeros((len(weight), height, width))
        for y in range(height):
            for x in range(width):
                block = rgb[CELL * y : CELL * (y + 1), CELL * x : CELL * (x + 1)]
                for c, kernel in enumerate(weight):
                    total = (block.transpose(2, 0, 1) * kernel).sum()
                    feats[c, y, x] = max(0, total)
        return feats

    return compute
