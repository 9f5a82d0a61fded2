"""Stock segmentors of mmseg, wrapped; small frames to run them on."""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.nn import functional as F
from wrapped_models import SIZE, ConstantFlow, frame, randomise

from dff.models import DFFVideoSegmentor

NUM_CLASSES = 19


class Case(NamedTuple):
    """A stock config, and what of its features is read."""

    config: str
    strides: tuple[int, ...]  # of the levels read in training
    channels: tuple[int, ...]
    trained: tuple[int, ...]  # levels read in training
    streamed: tuple[int, ...]  # indices into `strides` read in prediction


CASES = {
    'fcn': Case(
        'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        (8, 8),
        (256, 512),
        (2, 3),
        (1,),
    ),
    'pspnet': Case(
        'pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        (8, 8),
        (256, 512),
        (2, 3),
        (1,),
    ),
    'deeplabv3plus': Case(
        'deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        (4, 8, 8),
        (64, 256, 512),
        (0, 2, 3),
        (0, 2),
    ),
    'upernet-swin': Case(
        'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py',
        (4, 8, 16, 32),
        (96, 192, 384, 768),
        (0, 1, 2, 3),
        (0, 1, 2, 3),
    ),
    'segformer': Case(
        'segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py',
        (4, 8, 16, 32),
        (32, 64, 160, 256),
        (0, 1, 2, 3),
        (0, 1, 2, 3),
    ),
    'bisenetv2': Case(
        'bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
        (8, 4, 8, 16, 32),
        (128, 16, 32, 64, 128),
        (0, 1, 2, 3, 4),
        (0,),
    ),
    'pidnet': Case(
        'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py',
        (8, 8, 8),
        (64, 128, 64),
        (0, 1, 2),
        (1,),
    ),
    'mask2former': Case(
        'mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py',
        (4, 8, 16, 32),
        (64, 128, 256, 512),
        (0, 1, 2, 3),
        (0, 1, 2, 3),
    ),
}


# Run at late splits only.
MORE = {
    'bisenetv1': 'bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py',
    'ddrnet': 'ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py',
    'segnext': 'segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py',
}


def on_one_device(node):
    """Replace SyncBN, which needs several GPUs, and drop what is downloaded."""
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        node.pop('init_cfg', None)
        children = list(node.values())
    else:
        children = node if isinstance(node, (list, tuple)) else ()
    for child in children:
        on_one_device(child)


def stock(name) -> ConfigDict:
    """Take a stock model config; ResNets become 18 layers deep, for time."""
    config = MORE[name] if name in MORE else CASES[name].config
    model = get_config(f'mmseg::{config}').model
    on_one_device(model)
    model.pretrained = None
    model.data_preprocessor.size = SIZE
    if 'ResNet' in model.backbone.type:
        model.backbone.depth = 18
        heads = [model.decode_head, model.get('auxiliary_head')]
        for head in filter(None, heads):
            wide = head.in_channels
            head.in_channels = (
                [c // 4 for c in wide] if isinstance(wide, list) else wide // 4
            )
            if 'c1_in_channels' in head:
                head.c1_in_channels //= 4
    if name == 'mask2former':
        model.decode_head.num_queries = 10
        model.decode_head.train_cfg.num_points = 256
        model.decode_head.transformer_decoder.num_layers = 2
        model.decode_head.pixel_decoder.encoder.num_layers = 1
    if name == 'segformer':
        model.test_cfg.update(crop_size=(128, 128), stride=(64, 64))
    if name == 'segnext':
        model.decode_head.ham_kwargs.rand_init = False  # otherwise each run differs
        model.decode_head.update(channels=32, ham_channels=32)
    if name in ('pidnet', 'ddrnet'):
        for loss in model.decode_head.loss_decode:
            loss.pop('class_weight', None)  # fails on void labels in mmseg 1.2.2
            if loss.type == 'OhemCrossEntropy':
                loss.min_kept = 100
    return model


def build(name, *, interval=5, flow=None, cfg=None, **kwargs):
    """Wrap a stock segmentor, with random weights."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    case = CASES[name]
    estimator = dict(
        type='FlowNetS',
        width=0.0625,
        strides=case.strides,
        scale_channels=case.channels,
    )
    if flow is not None:
        estimator = ConstantFlow(case.strides, flow)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = DFFVideoSegmentor(
            segmentor=cfg or stock(name),
            propagation=dict(type='FeaturePropagation', flow_estimator=estimator),
            key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=interval),
            **kwargs,
        )
    randomise(model.segmentor)
    return model


def sample(size=SIZE, *, seed=0, is_void=False, **meta):
    """Labels in blocks, with some void, and the edges that PIDNet wants."""
    data = SegDataSample(
        metainfo=dict(
            img_shape=size,
            ori_shape=size,
            pad_shape=size,
            scale_factor=(1.0, 1.0),
            flip=False,
            **meta,
        )
    )
    rng = np.random.RandomState(seed)
    blocks = torch.from_numpy(rng.randint(0, NUM_CLASSES, (4, 6)))
    labels = blocks.repeat_interleave(size[0] // 4 + 1, 0)[: size[0]]
    labels = labels.repeat_interleave(size[1] // 6 + 1, 1)[:, : size[1]].clone()
    labels[: 1 + size[0] // 8] = 255
    if is_void:
        labels[:] = 255
    edges = (labels[:, 1:] != labels[:, :-1]).long()
    edges = F.pad(edges, (0, 1))
    data.gt_sem_seg = PixelData(data=labels[None])
    data.gt_edge_map = PixelData(data=edges[None])
    return data


def stream_batch(*frames, size=SIZE):
    """Make a test batch of (seed, video id, frame id)."""
    return dict(
        inputs=[frame(seed, size=size) for seed, _, _ in frames],
        data_samples=[sample(size, video_id=v, frame_id=i) for _, v, i in frames],
    )


def pair_batch(is_same, *, size=SIZE, **labels):
    """Make a training batch; a still's key is its own frame."""
    cur = [frame(i, size=size) for i in range(len(is_same))]
    key = [
        cur[i].clone() if same else cur[i].roll((4, 8), (1, 2))
        for i, same in enumerate(is_same)
    ]
    samples = [
        sample(size, seed=i, is_same=same, offset=0 if same else 3, **labels)
        for i, same in enumerate(is_same)
    ]
    return dict(inputs=dict(cur=cur, key=key), data_samples=samples)


def total(losses):
    values = [
        v if isinstance(v, list) else [v] for k, v in losses.items() if 'loss' in k
    ]
    return sum(loss.sum() for value in values for loss in value)


def step(model, optimizer=None, *, is_same=(False, True), **labels):
    batch = model.data_preprocessor(pair_batch(is_same, **labels), training=True)
    losses = model(**batch, mode='loss')
    loss = total(losses)
    if optimizer is not None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses, loss
