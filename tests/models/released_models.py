"""Models of the release's layout that the tests of its weights share."""

from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import dff  # noqa: F401  (registers the models)
from dff.converters.weights.mxnet_names import video_sources

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/vid/dff_rfcn_r101_vid.py'


def build(cfg):
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg)
    model.eval()  # of mmdet's ResNet gives None
    return model


def thin_config():
    """The stock config with few channels: its layout at a thousandth of the size."""
    cfg = Config.fromfile(CONFIG).model
    cfg.detector.backbone.update(
        depth=50, base_channels=4, stem_channels=4, init_cfg=None
    )
    cfg.detector.neck.update(in_channels=128, out_channels=16)
    cfg.detector.rpn_head.in_channels = cfg.detector.roi_head.in_channels = 8
    flow = cfg.propagation.flow_estimator
    flow.update(width=1 / 16, scale_channels=16, init_cfg=None)
    return cfg


def random_arrays(cfg, part=''):
    """Arrays of the release for a model of its layout, of positive numbers."""
    model = build(cfg)
    own, rng = model.state_dict(), np.random.default_rng(0)
    arrays = {}
    for key, source in video_sources(model).items():
        if key.startswith(part):
            shape = source.shape(tuple(own[key].shape))
            kind = 'aux' if 'moving' in source.name else 'arg'
            arrays[f'{kind}:{source.name}'] = rng.uniform(0.1, 1, shape).astype('f4')
    return arrays


def thin_network():
    """The thin config and arrays for it."""
    cfg = thin_config()
    return cfg, random_arrays(cfg)
