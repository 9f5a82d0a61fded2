"""The training and the test tool, as a user starts them."""

import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dff.checkpoint import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
default_scope = 'mmdet'
custom_imports = dict(imports=['dff'])
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3,
        pad_size_divisor=32
    ),
    backbone=dict(type='ResNet', depth=18, base_channels=8, out_indices=(2, 3),
                  norm_cfg=dict(type='{norm}')),
    neck=dict(type='FPN', in_channels=[32, 64], out_channels=16, num_outs=2),
    bbox_head=dict(
        type='RetinaHead', num_classes=1, in_channels=16, stacked_convs=1,
        feat_channels=16,
        anchor_generator=dict(type='AnchorGenerator', scales=[2], ratios=[1.0],
                              strides=[16, 32]),
    ),
    train_cfg=dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5,
                                 neg_iou_thr=0.4, min_pos_iou=0.0),
                   allowed_border=-1, pos_weight=-1),
    test_cfg=dict(nms_pre=50, min_bbox_size=0, score_thr=0.0, max_per_img=5,
                  nms=dict(type='nms', iou_threshold=0.5)),
)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(96, 64), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=(
        'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
        'video_id', 'frame_id', 'video_name')),
]
dataset = dict(type='CocoVIDDataset', data_root={data!r}, ann_file='ann.json',
               data_prefix=dict(img=''), metainfo=dict(classes=('thing',)),
               pipeline=pipeline)
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dataset,
                        sampler=dict(type='DefaultSampler', shuffle=True))
test_dataloader = dict(batch_size=1, num_workers=0, dataset=dataset,
                       sampler=dict(type='DefaultSampler', shuffle=False))
test_evaluator = dict(type='CocoMetric', ann_file={data!r} + '/ann.json')
test_cfg = dict(type='TestLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, milestones=[3])]
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
visualizer = dict(type='DetLocalVisualizer', name='visualizer')
"""


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Two videos of three frames whose files have the same names."""
    root = tmp_path_factory.mktemp('two videos')
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for video in (1, 2):
        (root / f'v{video}').mkdir()
        for frame in range(3):
            image = rng.integers(0, 255, (64, 96, 3), np.uint8)
            image[:, :, video] = 255
            name = f'v{video}/{frame:06d}.png'
            assert cv2.imwrite(str(root / name), image)
            images.append(dict(id=len(images) + 1, file_name=name, height=64, width=96,
                               video_id=video, frame_id=frame))  # fmt: skip
            boxes.append(dict(id=len(boxes) + 1, image_id=len(images), category_id=1,
                              bbox=[10, 10, 32, 32], area=1024, iscrowd=0))  # fmt: skip
    names = [dict(id=i, name=f'v{i}') for i in (1, 2)]
    categories = [dict(id=1, name='thing')]
    content = dict(images=images, annotations=boxes, videos=names,
                   categories=categories)  # fmt: skip
    (root / 'ann.json').write_text(json.dumps(content))
    return root


def write_config(folder, videos, *, norm='BN', change=''):
    config = folder / 'toy.py'
    text = CONFIG.replace('{norm}', norm).replace('{data!r}', repr(str(videos)))
    config.write_text(text + change)
    return config


def call(*command, is_ok=True, cwd=None, **env):
    """Run a command without a GPU; give what it printed."""
    path = os.pathsep.join([str(ROOT / 'projects'), os.environ.get('PYTHONPATH', '')])
    tools = os.path.dirname(sys.executable) + os.pathsep + os.environ['PATH']
    env = dict(os.environ, PYTHONPATH=path, PATH=tools, CUDA_VISIBLE_DEVICES='',
               OMP_NUM_THREADS='1', **env)  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command], env=env, cwd=cwd, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
    )  # fmt: skip
    assert (done.returncode == 0) == is_ok, done.stdout[-4000:]
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def train(*args, **kwargs):
    return call(sys.executable, ROOT / 'tools/train.py', *args, **kwargs)


def test(*args, **kwargs):
    return call(sys.executable, ROOT / 'tools/test.py', *args, **kwargs)


test.__test__ = False


@pytest.fixture(scope='module')
def trained(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    config = write_config(folder, videos)
    train(config, '--work-dir', folder / 'work')
    return config, folder / 'work' / 'iter_2.pth'


@pytest.fixture(scope='module')
def tested(trained, tmp_path_factory):
    """Test on one rank; give the log, the results and the drawn frames."""
    folder = tmp_path_factory.mktemp('tested')
    out = test(*trained, '--work-dir', folder / 'w', '--out', folder / 'r.pkl',
               '--show-dir', folder / 'frames')  # fmt: skip
    with (folder / 'r.pkl').open('rb') as file:
        return out, pickle.load(file), folder / 'frames'


def test_resume_goes_on_with_weights_optimizer_and_logs(trained, tmp_path):
    config, checkpoint = trained
    (tmp_path / 'last_checkpoint').write_text(str(checkpoint))
    out = train(config, '--work-dir', tmp_path, '--resume', '--cfg-options',
                'train_cfg.max_iters=4')  # fmt: skip
    assert 'resumed epoch: 0, iter: 2' in out
    before = read_checkpoint(checkpoint)
    after = read_checkpoint(tmp_path / 'iter_4.pth')
    steps = [c['optimizer']['state'][0]['step'] for c in (before, after)]
    assert steps == [2, 4]
    logs = [c['message_hub']['log_scalars']['train/loss'].data[0]
            for c in (before, after)]  # fmt: skip
    assert len(logs[0]) == 2 and len(logs[1]) == 4
    np.testing.assert_array_equal(logs[0], logs[1][:2])


def test_results_are_written_and_each_video_drawn_by_itself(tested):
    out, results, frames = tested
    assert 'coco/bbox_mAP_50' in out
    assert [r['img_id'] for r in results] == [1, 2, 3, 4, 5, 6]
    found = sorted(p.relative_to(frames).as_posix() for p in frames.rglob('*.*'))
    assert found == [f'v{v}/{f:06d}.png' for v in (1, 2) for f in range(3)]
    for video in (1, 2):  # the videos differ in which channel is full
        image = cv2.imread(str(frames / f'v{video}' / '000000.png'))
        assert image.reshape(-1, 3).mean(0).argmax() == video


def test_a_checkpoint_of_another_model_is_refused(trained, tmp_path):
    out = test(*trained, '--work-dir', tmp_path, '--cfg-options',
               'model.bbox_head.num_classes=3', is_ok=False)  # fmt: skip
    assert 'ValueError: the checkpoint is of another model than RetinaNet' in out
    assert 'Of another shape: bbox_head.retina_cls.weight' in out


def test_two_ranks_on_cpus_train(videos, tmp_path):
    config = write_config(tmp_path, videos, norm='SyncBN')
    work = tmp_path / 'two ranks'
    out = call('bash', ROOT / 'tools/dist_train.sh', config, 2, '--work-dir', work,
               PORT=free_port())  # fmt: skip
    assert 'SyncBN layers of the config become BN' in out
    weights = read_checkpoint(work / 'iter_2.pth')['state_dict']
    assert all(torch.isfinite(v).all() for v in weights.values())


def test_two_ranks_on_cpus_test_like_one(trained, tested, tmp_path):
    config, checkpoint = trained
    file = tmp_path / 'r.pkl'
    call('bash', ROOT / 'tools/dist_test.sh', config, checkpoint, 2, '--work-dir',
         tmp_path, '--out', file, PORT=free_port())  # fmt: skip
    two, one = pickle.loads(file.read_bytes()), tested[1]
    assert [r['img_id'] for r in two] == [r['img_id'] for r in one]
    for ours, theirs in zip(two, one, strict=True):
        torch.testing.assert_close(
            ours['pred_instances']['scores'], theirs['pred_instances']['scores']
        )
