"""ImageNet VID + DET on a miniature of the official tree, by the command lines.

From conversion through training, on one and on two ranks, to the figures of
validation; the config inherits from configs/vid.
"""

import itertools
import json
import sys

import numpy as np
import pytest
from commands import ROOT, call, test, train
from imagenet_tree import BOX, DET, NOT_LISTED, VID, write_tree
from mmengine.config import Config
from mmengine.registry import DATA_SAMPLERS, DATASETS, DefaultScope

import dff  # noqa: F401  (registers the classes)

CONFIG = """
_base_ = 'ROOT/configs/vid/dff_rfcn_r101_vid.py'
model = dict(
    detector=dict(
        backbone=dict(depth=18, base_channels=8, stem_channels=8, init_cfg=None),
        neck=dict(in_channels=64, out_channels=64),
        rpn_head=dict(in_channels=32),
        roi_head=dict(in_channels=32),
    ),
    propagation=dict(
        flow_estimator=dict(width=0.0625, scale_channels=64, init_cfg=None)),
    key_frame_scheduler=dict(interval=3),
)
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
"""
SCALE = '(320,240)'  # instead of (1000, 600)
SMALL = [
    f'train_dataloader.dataset.datasets.0.pipeline.3.scale={SCALE}',
    f'train_dataloader.dataset.datasets.1.pipeline.3.scale={SCALE}',
    f'val_dataloader.dataset.pipeline.1.scale={SCALE}',
    f'test_dataloader.dataset.pipeline.1.scale={SCALE}',
]


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A working directory with data/ILSVRC2015 and the config in it."""
    place = tmp_path_factory.mktemp('imagenet')
    (place / 'data/ILSVRC2015').mkdir(parents=True)
    write_tree(place / 'data/ILSVRC2015')
    (place / 'mini.py').write_text(CONFIG.replace('ROOT', str(ROOT)))
    return place


@pytest.fixture(scope='module')
def converted(place):
    """What the converter printed."""
    tool = ROOT / 'tools/dataset_converters/imagenet2cocovid.py'
    return call(sys.executable, tool, 'data/ILSVRC2015', cwd=place)


@pytest.fixture(scope='module')
def one_rank(place, converted):
    """Train on one rank."""
    return train('mini.py', '--work-dir', 'one', '--cfg-options', *SMALL, cwd=place)


@pytest.fixture(scope='module')
def two_ranks(place, converted):
    """Train on two ranks."""
    return train('mini.py', '--work-dir', 'two', '--cfg-options', *SMALL, cwd=place,
                 ranks=2)  # fmt: skip


def figures(folder):
    """Read VIDMetric's figures of the last validation or test of a work dir."""
    for path in (*folder.glob('*/vis_data/scalars.json'), *folder.glob('*/*.json')):
        for line in reversed(path.read_text().splitlines()):
            found = {k: v for k, v in json.loads(line).items() if k.startswith('vid/')}
            if found:
                return found
    raise AssertionError(f'no figures under {folder}')


def test_conversion(place, converted):
    folder = place / 'data/ILSVRC2015/annotations'
    content = {p.stem: json.loads(p.read_text()) for p in folder.iterdir()}
    assert set(content) == {'vid_train', 'det_train', 'vid_val'}
    lengths = {name: row[1] for name, row in VID.items()}
    for split in ('train', 'val'):
        part = content[f'vid_{split}']
        wanted = [name for name in lengths if name.startswith(split)]
        assert [video['name'] for video in part['videos']] == wanted
        assert len(part['images']) == sum(lengths[name] for name in wanted)
        assert len({image['file_name'] for image in part['images']}) == len(
            part['images']
        )
    labelled = [i['is_labelled'] for i in content['vid_train']['images']]
    assert sum(labelled) == 15 + 6 + 15  # of 18, 6 and 16
    assert all(i['is_labelled'] for i in content['vid_val']['images'])
    assert {a['instance_id'] for a in content['vid_val']['annotations']} == {0}
    stills = [n for n in DET if n.startswith('train/') and n not in NOT_LISTED]
    images = content['det_train']['images']
    assert [i['file_name'] for i in images] == [f'{name}.JPEG' for name in stills]
    names = {c['id']: c['name'] for c in content['det_train']['categories']}
    boxes = [names[a['category_id']] for a in content['det_train']['annotations']]
    assert boxes == ['dog', 'zebra', 'car', 'bird']  # no accordion
    assert 'objects of other classes were dropped' in converted


@pytest.mark.parametrize('name', ['dff', 'frame'])
def test_what_training_draws(place, converted, monkeypatch, name):
    """Of VID labelled frames and earlier keys, of DET stills; 2 : 1 at batch 1."""
    monkeypatch.chdir(place)
    cfg = Config.fromfile(ROOT / f'configs/vid/{name}_rfcn_r101_vid.py')
    with DefaultScope.overwrite_default_scope('mmdet'):
        data = DATASETS.build(cfg.train_dataloader.dataset)
        sampler = DATA_SAMPLERS.build(
            dict(cfg.train_dataloader.sampler, dataset=data, seed=0)
        )
    assert [len(part) for part in data.datasets] == [15 + 6 + 15, 3]
    keys = []
    for index in itertools.islice(sampler, 9):
        item = data[index]
        sample = item['data_samples']
        keys.append('/VID/' in sample.img_path)
        if name == 'dff':
            assert set(item['inputs']) == {'cur', 'key'}
            assert 0 <= sample.offset <= min(9, sample.frame_id)
            assert keys[-1] or sample.is_same
        else:
            assert item['inputs'].ndim == 3
    assert keys == [True, False, True] * 3


def shares_of_speeds():
    """Share of slow, medium and fast boxes of validation, frame by frame."""
    speeds = []
    for name, (_, length, step) in VID.items():
        for frame in range(length if name.startswith('val/') else 0):
            ious = []
            for other in range(max(0, frame - 10), min(length, frame + 11)):
                apart = step * abs(other - frame)
                inter = max(BOX + 1 - apart, 0) * (BOX + 1)  # "+1" areas
                if other != frame:
                    ious.append(inter / (2 * (BOX + 1) ** 2 - inter))
            mean = np.mean(ious)
            speeds.append('slow' if mean > 0.9 else 'fast' if mean < 0.7 else 'medium')
    return {speed: speeds.count(speed) / len(speeds) for speed in set(speeds)}


def check_figures(found):
    """Every speed has boxes, and its share is right; AP is a number above 0."""
    shares = shares_of_speeds()
    assert set(shares) == {'slow', 'medium', 'fast'}
    for speed, share in shares.items():
        assert found[f'vid/{speed}/share'] == pytest.approx(share)
        assert 0 <= found[f'vid/{speed}/AP50'] <= 1
    assert 0 < found['vid/AP50'] <= 1


def test_two_ranks_test_like_the_one_that_trained(place, one_rank):
    alone = figures(place / 'one')
    check_figures(alone)
    out = test('mini.py', 'one/iter_2.pth', '--work-dir', 'tested_by_two',
               '--cfg-options', *SMALL, cwd=place, ranks=2)  # fmt: skip
    assert 'Distributed training: True' in out and 'GPU number: 2' in out
    assert figures(place / 'tested_by_two') == alone


def test_one_rank_tests_like_the_two_that_trained(place, two_ranks):
    assert 'Distributed training: True' in two_ranks and 'GPU number: 2' in two_ranks
    together = figures(place / 'two')
    check_figures(together)
    test('mini.py', 'two/iter_2.pth', '--work-dir', 'tested_by_one', '--cfg-options',
         *SMALL, cwd=place)  # fmt: skip
    assert figures(place / 'tested_by_one') == together
