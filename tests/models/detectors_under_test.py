"""Stock detectors of mmdet as configs/wrapped wraps them, at a size for tests."""

import os
from pathlib import Path

from mmengine.config import Config
from wrapped_models import SIZE

from dff.checks.build import build_to_check

WRAPPED = Path(__file__).resolve().parents[2] / 'configs' / 'wrapped'
STOCK = (
    'dff_mask-rcnn_r50_fpn_masks',
    'dff_cascade-rcnn_r50_fpn_vid',
    'dff_fcos_r50_fpn_vid',
    'dff_atss_r50_fpn_vid',
    'dff_rtmdet_tiny_vid',
    'dff_yolox_s_vid',
    'dff_centernet_r18_vid',
    'dff_detr_r50_vid',
    'dff_deformable-detr_r50_vid',
    'dff_dino-4scale_r50_vid',
)
# further configs, by path: DFF_CHECK_CONFIGS=mine.py:other.py pytest ...
OWN = tuple(filter(None, os.environ.get('DFF_CHECK_CONFIGS', '').split(os.pathsep)))


def read(name):
    """Read a config of configs/wrapped, or one by its path."""
    path = WRAPPED / f'{name}.py'
    return Config.fromfile(path if path.is_file() else name)


def shrink(model):
    """Make a detector's trunk, neck and heads narrow and shallow; nothing else.

    Returns:
        Channels of its feature levels.
    """
    backbone, neck = model.backbone, model.neck
    if backbone.type.endswith('ResNet'):
        backbone.update(depth=18, base_channels=16)
        wide = [16, 32, 64, 128]
    else:  # CSPDarknet, CSPNeXt
        backbone.update(deepen_factor=0.167, widen_factor=0.125)
        wide = [32, 64, 128]
    count = len(neck.in_channels) if isinstance(neck.in_channels, list) else 1
    neck.in_channels = wide[-count:] if count > 1 or 'DETR' in model.type else wide[-1]
    if model.type.endswith(('DETR', 'DINO')):
        model.encoder.num_layers = model.decoder.num_layers = 1
        model.num_queries = 20
        model.test_cfg.max_per_img = 10
        return neck.out_channels
    if 'num_deconv_filters' in neck:
        neck.num_deconv_filters = (32, 32, 32)
    else:
        neck.out_channels = 32
    narrow(model)
    return 32


def narrow(node):
    """Give every head below a config 32 channels, one layer, a short list of boxes."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in NARROW and isinstance(value, int):
                node[name] = NARROW[name]
            elif name not in ('backbone', 'neck'):
                narrow(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            narrow(value)


NARROW = dict(
    in_channels=32,
    feat_channels=32,
    out_channels=32,
    conv_out_channels=32,
    fc_out_channels=64,
    stacked_convs=1,
    num_convs=1,
    nms_pre=200,
    max_per_img=50,
)


def build(name, *, interval=10, **options):
    """Build the model of a config with random weights, in eval mode."""
    cfg = read(name)
    cfg.model.key_frame_scheduler.interval = interval
    cfg.model.update(options)
    if name in STOCK:
        channels = shrink(cfg.model.detector)
        cfg.model.propagation.flow_estimator.update(
            width=0.0625, scale_channels=channels
        )
    return build_to_check(cfg, size=SIZE)
