"""A small detector with and without DFF, and videos for it."""

import cv2
import numpy as np
import torch
from mmengine.config import Config

CLASSES = ('cat', 'dog')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 64), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_shape', 'ori_shape', 'scale_factor')),
]
DETECTOR = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='MobileNetV2',
        widen_factor=0.25,
        out_indices=(4,),
        act_cfg=dict(type='ReLU'),
    ),
    neck=dict(type='FPN', in_channels=[24], out_channels=16, num_outs=1),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=2,
        in_channels=16,
        stacked_convs=1,
        feat_channels=16,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[2, 4], ratios=[1.0], strides=[16]
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
    ),
    test_cfg=dict(
        nms_pre=100,
        min_bbox_size=0,
        score_thr=0.0,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=20,
    ),
)


def make_config(model):
    dataset = dict(
        type='VideoPairDataset',
        dataset=dict(type='CocoDataset', metainfo=dict(classes=CLASSES), pipeline=[]),
        pipeline=PIPELINE,
        test_mode=True,
    )
    loader = dict(batch_size=1, dataset=dataset)
    return Config(dict(default_scope='mmdet', model=model, test_dataloader=loader))


def video(count, *, size=(72, 100), seed=0):
    rng = np.random.default_rng(seed)
    canvas = cv2.GaussianBlur(rng.integers(0, 255, (200, 300, 3), np.uint8), (0, 0), 2)
    return [canvas[i : i + size[0], 2 * i : 2 * i + size[1]] for i in range(count)]


def same(a, b):
    a, b = a.pred_instances, b.pred_instances
    return all(torch.equal(a[name], b[name]) for name in ('bboxes', 'scores', 'labels'))
