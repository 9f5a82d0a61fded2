"""Training and test of a video segmentor by the tools, on one and two ranks."""

import json
import re

import cv2
import numpy as np
import pytest
from commands import test, train

LENGTHS = {'a': 4, 'b': 5}
LABELLED = {('a', 3), ('b', 1), ('b', 4)}
CONFIG = """
default_scope = 'mmseg'
custom_imports = dict(imports=['dff'])
pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
frames = dict(type='VideoSegDataset', data_root=DATA, img_suffix='.png',
              metainfo=dict(classes=('x', 'y', 'z')))
model = dict(
    type='DFFVideoSegmentor',
    segmentor=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', size=(48, 64)),
        backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8,
                      out_indices=(2, 3), norm_cfg=dict(type='SyncBN')),
        decode_head=dict(type='FCNHead', in_channels=64, channels=16, in_index=1,
                         num_convs=1, num_classes=3),
        auxiliary_head=dict(type='FCNHead', in_channels=32, channels=16, in_index=0,
                            num_convs=1, num_classes=3),
        test_cfg=dict(mode='whole')),
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(type='FlowNetS', width=0.125, strides=(16, 32),
                            scale_channels=[32, 64])),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=2),
)
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='VideoPairDataset', dataset=frames, pipeline=pipeline,
                 offset_range=(0, 2)))
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='VideoSampler'),
    dataset=dict(type='VideoPairDataset', dataset=frames, pipeline=pipeline,
                 test_mode=True))
test_evaluator = [dict(type='VideoMetric', metric=dict(type='SegIoUMetric')),
                  dict(type='TemporalConsistency')]
test_cfg = dict(type='TestLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
randomness = dict(seed=0)
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """Two videos, of which some frames are labelled."""
    root = tmp_path_factory.mktemp('labelled videos')
    rng = np.random.default_rng(0)
    for video, length in LENGTHS.items():
        for name in ('images', 'labels'):
            (root / name / video).mkdir(parents=True)
        wide = rng.integers(0, 256, (30, 40, 3)).astype(np.uint8)
        wide = cv2.resize(wide, (160, 120))
        for frame in range(length):
            image = wide[2 * frame : 2 * frame + 48, 3 * frame : 3 * frame + 64]
            cv2.imwrite(str(root / f'images/{video}/{frame:06d}.png'), image)
            labels = (image[..., 0] // 86).astype(np.uint8)
            labels[0] = 255
            if (video, frame) in LABELLED:
                cv2.imwrite(str(root / f'labels/{video}/{frame:06d}.png'), labels)
    path = root / 'config.py'
    path.write_text(CONFIG.replace('DATA', repr(str(root))))
    return path


@pytest.fixture(scope='module')
def checkpoint(config, tmp_path_factory):
    """Train on two ranks."""
    work = tmp_path_factory.mktemp('two ranks')
    out = train(config, '--work-dir', work, ranks=2)
    assert 'aux.loss_ce' in out and 'nan' not in out
    return work / 'iter_2.pth'


def figures_of(out):
    """Read the figures of the last line."""
    line = [line for line in out.splitlines() if '(test) [' in line][-1]
    found = dict(re.findall(r'([\w./]+): ([\d.]+|nan)', line))
    return {n: v for n, v in found.items() if 'time' not in n}


def test_a_stream_on_one_and_two_ranks(config, checkpoint, tmp_path):
    """Frames without labels run, reach no metric, and count for consistency."""
    one = test(config, checkpoint, '--work-dir', tmp_path)
    two = test(config, checkpoint, '--work-dir', tmp_path, ranks=2)
    figures = figures_of(one)
    assert {'mIoU', 'IoU.x', 'consistency/mIoU'} <= set(figures)
    assert figures_of(two) == figures


def test_offsets_on_one_and_two_ranks(config, checkpoint, tmp_path):
    """Of three labelled frames one has no two predecessors."""
    files = [tmp_path / f'{ranks}.json' for ranks in (1, 2)]
    shown = test(config, checkpoint, '--work-dir', tmp_path, '--offsets', '3',
                 '--offsets-out', files[0])  # fmt: skip
    test(config, checkpoint, '--work-dir', tmp_path, '--offsets', '3',
         '--offsets-out', files[1], ranks=2)  # fmt: skip
    one, two = (json.loads(file.read_text()) for file in files)
    assert one == two
    assert one['frames'] == {'0': 2, '1': 2, '2': 2} and one['num_left_out'] == 1
    assert 'By offset, 1 frames left out of all' in shown and 'By class' in shown
    assert set(one['pooled']) == {'mIoU', 'mAcc', 'aAcc', 'IoU.x', 'IoU.y', 'IoU.z'}


def test_clamped_offsets_keep_every_frame(config, checkpoint, tmp_path):
    file = tmp_path / 'out.json'
    test(config, checkpoint, '--work-dir', tmp_path, '--offsets', '0,2',
         '--offsets-out', file, '--clamp-offsets')  # fmt: skip
    found = json.loads(file.read_text())
    assert found['frames'] == {'0': 3, '2': 3} and found['num_left_out'] == 0
