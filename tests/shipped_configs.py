"""The shipped configs by kind, each parsed once, and how tests build them."""

import copy
import functools
import re
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import dff  # noqa: F401  (registers the classes)

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
NAMES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)
MODEL_NAMES = [name for name in NAMES if not name.startswith('flow/')]
# What is only tested; it is another config's model.
TESTED = re.compile(r'_offsets\.py$|/copy_|/sff_|_separate_')
TRAINED = [name for name in MODEL_NAMES if not TESTED.search(name)]
DFF = [name for name in TRAINED if '/dff_' in name]


@functools.cache
def _parsed(name):
    return Config.fromfile(CONFIGS / name)


SCOPES = {name: _parsed(name).get('default_scope') for name in MODEL_NAMES}
DETECTORS = [name for name in MODEL_NAMES if SCOPES[name] == 'mmdet']
SEGMENTORS = [name for name in MODEL_NAMES if SCOPES[name] == 'mmseg']
MINI = [name for name in TRAINED if name.split('/')[0] in ('mini', 'camvid')]


def read(name):
    """Return a config, which the caller may change."""
    return copy.deepcopy(_parsed(name))


def build(cfg):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(copy.deepcopy(cfg.model))


def image_model_of(cfg):
    """Config of the image model, wrapped or not, its types with their scopes."""
    model = cfg.model.get('detector', cfg.model.get('segmentor', cfg.model))
    return model.to_dict()
