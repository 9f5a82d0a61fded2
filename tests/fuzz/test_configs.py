"""Configs with one wrong value among those that this package defines."""

import copy
import random
import warnings
from pathlib import Path

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mutate import mutate_value, places
from outcomes import DOCUMENTED, SEEDS, Tally

ROOT = Path(__file__).resolve().parents[2]
DETECTOR = ROOT / 'configs/mini/dff_rfcn_r18_synthetic.py'


def judge(error, names):
    """Accept an error that names the changed key or a class on the way to it."""
    is_untyped = isinstance(error, KeyError) and 'the key "type"' in str(error)
    is_module = "'module' object is not callable" in str(error)  # type='abc'
    if (
        'type' in names
        or is_module
        or is_untyped
        or 'is selected: ' in str(error)
    ):
        return None
    is_registry = isinstance(error, KeyError) and 'registry' in str(error)
    if type(error) not in DOCUMENTED and not is_registry:
        return f'{type(error).__name__} is none of the documented errors'
    if not any(str(name) in str(error) for name in names):
        return f'names none of {names}'
    return None


def names_of(content, path):
    """Give the key that was changed, and the types around it."""
    names, node = [str(part) for part in path if not isinstance(part, int)], content
    for part in path:
        if isinstance(node, dict) and isinstance(node.get('type'), str):
            names.append(node['type'].rpartition('.')[2])
        node = node[part]
    return names


def damage(content, paths, build, seeds):
    tally = Tally()
    for seed in seeds:
        changed, path = mutate_value(
            random.Random(seed), content, paths=paths, damages=1
        )
        names = names_of(content, path)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            tally.add(seed, lambda c=changed: build(c), names, judge=judge)
    tally.check('config')


@pytest.mark.parametrize('seeds', SEEDS)
def test_models(seeds):
    model = Config.fromfile(DETECTOR).model.to_dict()
    model['propagation']['flow_estimator']['init_cfg'] = None
    model['propagation']['channel_order'] = None
    model['propagation']['flow_estimator']['strides'] = [16]
    model |= dict(frozen_modules=['propagation'], split=None)
    own = [
        path
        for path in places(model)
        if path[0] in ('propagation', 'key_frame_scheduler', 'frozen_modules', 'split')
        and 'init_cfg' not in path
    ]

    def build(changed):
        with DefaultScope.overwrite_default_scope('mmdet'):
            MODELS.build(ConfigDict(copy.deepcopy(changed)))

    damage(model, own, build, seeds)


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('test_mode', [False, True])
def test_datasets(make_vid_set, seeds, test_mode):
    root = make_vid_set((6, 4))
    inner = dict(type='CocoVIDDataset', data_root=str(root), ann_file='vid.json')
    load = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
    ]
    wrapper = dict(
        type='VideoPairDataset',
        dataset=inner,
        pipeline=[*load, dict(type='PackDetInputs')],
        test_mode=test_mode,
        missing='error',
        as_stills=False,
        frame_stride=1,
    )
    if test_mode:
        wrapper |= dict(test_offsets=[0, 2], clamp_test_offsets=False)
    else:
        wrapper |= dict(
            offset_range=[0, 3],
            pairs=True,
            min_video_length=1,
            max_frames_per_video=5,
            max_refetch=9,
        )
    own = [path for path in places(wrapper) if path[0] not in ('dataset', 'pipeline')]

    def build(changed):
        with DefaultScope.overwrite_default_scope('mmdet'):
            dataset = DATASETS.build(copy.deepcopy(changed))
            assert len(dataset[0]['inputs']) in (2, 3)  # a pair, or an image

    damage(wrapper, own, build, seeds)
