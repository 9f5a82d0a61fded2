from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, DefaultScope

import dff  # noqa: F401

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'

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


def shipped():
    found = {}
    for path in sorted(CONFIGS.rglob('*.py')):
        if 'VideoPairDataset' not in path.read_text():
            continue
        cfg = Config.fromfile(path)
        for number, pipeline in enumerate(train_pipelines(cfg.get('train_dataloader'))):
            steps = ConfigDict(pipeline=pipeline).to_dict()['pipeline']
            found[f'{path.relative_to(CONFIGS)}-{number}'] = steps
    return found


SHIPPED = shipped()


@pytest.fixture
def mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def build(root, pipeline):
    return DATASETS.build(
        dict(
            type='VideoPairDataset',
            dataset=dict(
                type='CocoVIDDataset', data_root=str(root), ann_file='vid.json'
            ),
            pipeline=pipeline,
            offset_range=(1, 1),
        )
    )


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


def test_configs_with_pairs_are_found():
    names = {name.rsplit('-', 1)[0] for name in SHIPPED}
    for base in ('vid', 'mot_mini', 'synthetic'):
        assert f'_base_/datasets/{base}.py' in names


@pytest.mark.parametrize('name', SHIPPED)
def test_identical_frames_stay_identical_in_shipped_configs(
    name, make_vid_set, mmdet_scope
):
    root = make_vid_set((2,), identical=True)
    check_identical(root, SHIPPED[name], draws=10)


@pytest.mark.parametrize('steps', STOCK, ids=lambda s: s[0]['type'])
def test_identical_frames_stay_identical_in_stock_transforms(
    steps, make_vid_set, mmdet_scope
):
    root = make_vid_set((2,), identical=True)
    pipeline = [*LOAD, *steps, dict(type='PackDetInputs')]
    seen = check_identical(root, pipeline, draws=20)
    distinct = {(tuple(s.shape), float(s.float().sum())) for s in seen}
    assert len(distinct) > 1, 'the transform did nothing, so nothing was tested'
