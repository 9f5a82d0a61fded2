import functools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, DefaultScope

import dff  # noqa: F401

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CHECKED = set()  # pipelines that a test went through

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
STOCK = [
    [dict(type='mmdet.PhotoMetricDistortion')],
    [dict(type='mmdet.MinIoURandomCrop')],
    [dict(type='mmdet.RandomCrop', crop_size=(24, 24), allow_negative_crop=True)],
    [dict(type='mmdet.Expand')],
    [dict(type='mmdet.RandomAffine')],
    [dict(type='mmdet.RandomErasing', n_patches=(1, 5), ratio=(0.1, 0.4))],
    [dict(type='mmdet.CutOut', n_holes=3, cutout_shape=(5, 5))],
    [dict(type='mmdet.RandomShift', prob=0.5)],
    [dict(type='mmdet.YOLOXHSVRandomAug')],
    [dict(type='mmdet.RandAugment', aug_num=2)],
    [dict(type='RandomChoiceResize', scales=[(40, 30), (80, 60)], keep_ratio=True)],
    [
        dict(
            type='RandomChoice',
            transforms=[
                [dict(type='mmdet.RandomFlip', prob=0.5)],
                [dict(type='RandomGrayscale', prob=0.5)],
            ],
        )
    ],
    [dict(type='RandomResize', scale=(64, 48), ratio_range=(0.5, 2), keep_ratio=True)],
    [dict(type='mmseg.PhotoMetricDistortion')],
]


def train_pipelines(cfg):
    """Find the pipelines of all VideoPairDatasets in the training part."""
    if isinstance(cfg, (list, tuple)):
        for value in cfg:
            yield from train_pipelines(value)
    elif isinstance(cfg, dict):
        if cfg.get('type') == 'VideoPairDataset':
            yield cfg['pipeline']
        for value in cfg.values():
            yield from train_pipelines(value)


@functools.cache
def shipped_pipelines(path):
    cfg = Config.fromfile(path)
    found = train_pipelines(cfg.get('train_dataloader'))
    return [ConfigDict(steps=steps).to_dict()['steps'] for steps in found]


@pytest.fixture
def mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def build(root, pipeline):
    if (root / 'vid.json').exists():
        dataset = dict(type='CocoVIDDataset', ann_file='vid.json')
    else:
        dataset = dict(type='VideoSegDataset', metainfo=dict(classes=('a', 'b')))
    return DATASETS.build(
        dict(
            type='VideoPairDataset',
            dataset=dict(data_root=str(root), **dataset),
            pipeline=pipeline,
            offset_range=(1, 1),
        )
    )


def is_segmentation(pipeline):
    return any(step['type'].endswith('PackSegInputs') for step in pipeline)


def check_identical(root, pipeline, *, draws):
    data = build(root, pipeline)
    np.random.seed(0)
    seen = []
    for _ in range(draws):
        item = data[1]
        assert not item['data_samples'].is_same
        assert torch.equal(item['inputs']['cur'], item['inputs']['key'])
        seen.append(item['inputs']['cur'])
    return seen


def test_data_configs_hold_pairs():
    folder = CONFIGS / '_base_' / 'datasets'
    counts = dict(vid=2, mot_mini=1, synthetic=1)
    counts.update(camvid=1, cityscapes_sequence=1, video_seg=1)
    for name, count in counts.items():
        assert len(shipped_pipelines(folder / f'{name}.py')) == count


@pytest.mark.parametrize(
    'path', sorted(CONFIGS.rglob('*.py')), ids=lambda p: str(p.relative_to(CONFIGS))
)
def test_identical_frames_stay_identical_in_shipped_configs(
    path, make_vid_set, make_seg_set
):
    for number, steps in enumerate(shipped_pipelines(path)):
        if repr(steps) in CHECKED:  # most configs inherit theirs
            continue
        name = f'set_{number}'
        if is_segmentation(steps):
            scope, root = 'mmseg', make_seg_set({'a': (3, 4)}, name=name)
            first = root / 'images' / 'a' / '000003.png'
            shutil.copyfile(first, first.with_name('000004.png'))
        else:
            scope, root = 'mmdet', make_vid_set((2,), identical=True, name=name)
        with DefaultScope.overwrite_default_scope(scope):
            check_identical(root, steps, draws=10)
        CHECKED.add(repr(steps))


@pytest.mark.parametrize('steps', STOCK, ids=lambda s: s[0]['type'])
def test_identical_frames_stay_identical_in_stock_transforms(
    steps, make_vid_set, mmdet_scope
):
    root = make_vid_set((2,), identical=True)
    pipeline = [*LOAD, *steps, dict(type='PackDetInputs')]
    seen = check_identical(root, pipeline, draws=20)
    distinct = {(tuple(s.shape), float(s.float().sum())) for s in seen}
    assert len(distinct) > 1, 'the transform did nothing, so nothing was tested'
