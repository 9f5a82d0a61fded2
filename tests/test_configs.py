"""Every shipped config: builds, and its parts fit each other.

`tests/test_configs_scope.py` holds what `dff::…` adds to that.
"""

import ast
import re
from pathlib import Path

import pytest
from shipped_configs import (
    CONFIGS,
    DFF,
    MODEL_NAMES,
    NAMES,
    SCOPES,
    TRAINED,
    image_model_of,
    read,
)

import dff  # noqa: F401  (registers the classes)

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
RELEASE = dict(mean=[123.15, 115.90, 103.06], std=[1.0, 1.0, 1.0])
# BGR, by the authors of Detectron and of RTMDet
DETECTRON = dict(mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0])
RTMDET = dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395])
BGR_INPUTS = (DETECTRON, RTMDET)
DEFAULT_STYLES = dict(ResNet='pytorch')  # mmdet's and mmseg's
# What the weights of a source were trained with: architecture, style, input.
WEIGHT_SOURCES = (
    (r'torchvision://resnet(\d+)$', 'ResNet', 'pytorch', IMAGENET),
    (r'data/weights/resnet(\d+)_mxnet\.pth$', 'ResNet', 'caffe', RELEASE),
    (r'open-mmlab://detectron/resnet(\d+)_caffe$', 'ResNet', 'caffe', DETECTRON),
    (r'.*/cspnext-tiny_imagenet_600e\.pth$', 'CSPNeXt', None, RTMDET),
    (r'data/weights/mobilenet_v2_imagenet_mmseg\.pth$', 'MobileNetV2', None, IMAGENET),
    (
        r'work_dirs/frame_rfcn_r(18)_synthetic/iter_1200\.pth$',
        'ResNet',
        'pytorch',
        IMAGENET,
    ),
)


def bases_of(path):
    """Paths of the configs that a file names as `_base_`; a package's as strings."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '_base_':
            value = ast.literal_eval(node.value)
            names = [value] if isinstance(value, str) else value
            return [n if '::' in n else (path.parent / n).resolve() for n in names]
    return []


def depth(path):
    if isinstance(path, str):
        return 0
    return max((1 + depth(base) for base in bases_of(path)), default=0)


def strings(node):
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list, tuple)):
        for value in node.values() if isinstance(node, dict) else node:
            yield from strings(value)


def datasets_in(node):
    """Yield every VideoPairDataset below a config."""
    if isinstance(node, dict):
        if node.get('type') == 'VideoPairDataset':
            yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from datasets_in(value)


def weight_complaints(model, scope):
    """Say what about an image model's input or style contradicts its weights."""
    backbone, pre = model['backbone'], model['data_preprocessor']
    kind_of_backbone = backbone['type']
    if 'MobileNetV2' in kind_of_backbone:  # mmdet's has other names and blocks
        given, _, kind_of_backbone = kind_of_backbone.rpartition('.')
        if (given or scope) != 'mmseg':
            kind_of_backbone = f'{given or scope}.{kind_of_backbone}'
    checkpoint = (backbone.get('init_cfg') or {}).get('checkpoint')
    if checkpoint is None:
        frozen = backbone.get('frozen_stages', -1) >= 0 or backbone.get('norm_eval')
        return ['frozen without weights'] if frozen else []
    for pattern, kind, style, expected in WEIGHT_SOURCES:
        match = re.match(pattern, checkpoint)
        if not match:
            continue
        facts = dict(
            type=(kind_of_backbone, kind),
            style=(backbone.get('style', DEFAULT_STYLES.get(kind)), style),
            mean=(list(pre['mean']), expected['mean']),
            std=(list(pre['std']), expected['std']),
            bgr_to_rgb=(pre.get('bgr_to_rgb', False), expected not in BGR_INPUTS),
        )
        if match.groups():
            facts['depth'] = (backbone['depth'], int(match.group(1)))
        return [
            f'{k}: {got} not {want}' for k, (got, want) in facts.items() if got != want
        ]
    return [f'unknown weights {checkpoint}']


@pytest.mark.parametrize('name', MODEL_NAMES)
def test_style_normalisation_and_weights_agree(name):
    assert weight_complaints(image_model_of(read(name)), SCOPES[name]) == []


@pytest.mark.parametrize(
    'name, change, complaint',
    [
        ('vid/frame_rfcn_r101_vid.py', dict(backbone=dict(style='pytorch')), 'style'),
        ('vid/frame_rfcn_r50_vid.py', dict(backbone=dict(depth=101)), 'depth'),
        (
            'vid/frame_rfcn_r50_vid_torchvision.py',
            dict(data_preprocessor=RELEASE),
            'mean',
        ),
        (
            'vid/frame_rfcn_r50_vid_torchvision.py',
            dict(data_preprocessor=dict(bgr_to_rgb=False)),
            'bgr_to_rgb',
        ),
        (
            'mini/frame_rfcn_mobilenetv2_pets.py',
            dict(backbone=dict(type='MobileNetV2')),
            'type',
        ),
        (
            'vid/frame_rfcn_r101_vid.py',
            dict(backbone=dict(init_cfg=dict(checkpoint='open-mmlab://x'))),
            'unknown',
        ),
        (
            'vid/frame_rfcn_r101_vid.py',
            dict(backbone=dict(init_cfg=None)),
            'frozen without',
        ),
    ],
)
def test_a_contradiction_is_found(name, change, complaint):
    cfg = read(name)
    cfg.merge_from_dict(dict(model=change))
    assert complaint in weight_complaints(cfg.model, 'mmdet')[0]


@pytest.mark.parametrize('name', NAMES)
def test_bases_are_shallow_and_paths_relative(name):
    assert depth(CONFIGS / name) <= 2
    for value in strings(read(name).to_dict()):
        assert not value.startswith(('/', '~', '..')), value


@pytest.mark.parametrize('name', TRAINED)
def test_frame_trains_on_frames_and_dff_on_pairs(name):
    datasets = list(datasets_in(read(name).train_dataloader.to_dict()))
    assert datasets
    assert {d.get('pairs', True) for d in datasets} == {name in DFF}


@pytest.mark.parametrize('name', TRAINED)
def test_schedule_adds_up(name):
    cfg = read(name)
    iters = cfg.train_cfg.max_iters
    is_paper = cfg.auto_scale_lr.base_batch_size == 8
    gpus = 8 if is_paper else 4 if name.endswith('_release.py') else 1
    assert cfg.train_dataloader.batch_size * gpus == cfg.auto_scale_lr.base_batch_size
    for scheduler in cfg.param_scheduler:
        last = max([scheduler.get('end', 0), *scheduler.get('milestones', [])])
        assert last < iters and scheduler.by_epoch is False
    if cfg.load_from:
        source, last = re.match(
            r'work_dirs/(\w+)/iter_(\d+)\.pth', cfg.load_from
        ).groups()
        frame = read(f'{Path(name).parent}/{source}.py')
        assert frame.train_cfg.max_iters == int(last)
        assert re.sub('_(mix|long)$', '', source) == re.sub(
            '(?:dff|frame)_(.*?)(_dis|_noscale|_fixn|_fixf)?_([a-z]+)(_long|_mix|_copied)?$',
            r'frame_\1_\3',
            Path(name).stem,
        )


@pytest.mark.parametrize('name', DFF)
def test_dff_wraps_the_model_of_its_frame_config(name):
    cfg = read(name)
    frame = re.sub(
        'dff_(.*?)(_dis|_noscale|_half|_inception|_fixn|_fixf)?'
        '_([a-z]+)(_torchvision)?(_release)?.py',
        r'frame_\1_\3\4.py',
        name,
    )
    assert image_model_of(cfg) == read(frame).model.to_dict()
    wrapped = dict(mmdet='detector', mmseg='segmentor')[SCOPES[name]]
    assert set(cfg.model) <= {
        'type',
        wrapped,
        'propagation',
        'key_frame_scheduler',
        'labels_only',
        'frozen_modules',
        '_scope_',
    }
