"""The training and the test tool, as a user starts them."""

import json
import pickle
import sys

import cv2
import numpy as np
import pytest
import torch
from commands import ROOT, call, free_port, test, train

from dff.checkpoint import read_checkpoint

LENGTHS = {1: 3, 2: 4}  # frames of each video
FRAME = """
default_scope = 'mmdet'
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3,
        bgr_to_rgb=True, pad_size_divisor=32,
    ),
    backbone=dict(type='ResNet', depth=18, base_channels=8, out_indices=(2, 3),
                  norm_cfg=dict(type='SyncBN')),
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
    dict(type='PackDetInputs'),
]
frames = dict(type='CocoVIDDataset', data_root=DATA, ann_file='ann.json',
              data_prefix=dict(img=''))
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='VideoPairDataset', dataset=frames, pipeline=pipeline,
                 pairs=False))
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='VideoSampler'),
    dataset=dict(type='VideoPairDataset', dataset=frames, pipeline=pipeline,
                 test_mode=True))
test_evaluator = dict(type='VideoMetric', metric=dict(type='CocoMetric', metric='bbox'))
test_cfg = dict(type='TestLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, milestones=[3])]
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
randomness = dict(seed=0)
"""
DFF = """
_base_ = './frame.py'
model = dict(
    _delete_=True,
    type='DFFVideoDetector',
    detector=dict(_base_.model, init_cfg=dict(
        type='Pretrained', checkpoint='torchvision://there_is_no_such_network')),
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(type='FlowNetS', width=0.125, strides=(16, 32),
                            scale_channels=[16, 16])),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=2),
)
train_dataloader = dict(dataset=dict(pairs=True, offset_range=(0, 2)))
"""


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    """Frame's and DFF's config, for two videos whose frames have the same names."""
    root = tmp_path_factory.mktemp('two videos')
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for video, length in LENGTHS.items():
        (root / f'v{video}').mkdir()
        for frame in range(length):
            image = rng.integers(0, 255, (64, 96, 3), np.uint8)
            image[:, :, video] = 255
            name = f'v{video}/{frame:06d}.png'
            assert cv2.imwrite(str(root / name), image)
            images.append(dict(id=len(images) + 1, file_name=name, height=64, width=96,
                               video_id=video, frame_id=frame))  # fmt: skip
            boxes.append(dict(id=len(boxes) + 1, image_id=len(images), category_id=1,
                              bbox=[10, 10, 32, 32], area=1024, iscrowd=0))  # fmt: skip
    names = [dict(id=i, name=f'v{i}') for i in LENGTHS]
    content = dict(images=images, annotations=boxes, videos=names,
                   categories=[dict(id=1, name='thing')])  # fmt: skip
    (root / 'ann.json').write_text(json.dumps(content))
    (root / 'frame.py').write_text(FRAME.replace('DATA', repr(str(root))))
    (root / 'dff.py').write_text(DFF)
    return root / 'frame.py', root / 'dff.py'


@pytest.fixture(scope='module')
def frame(configs, tmp_path_factory):
    """Train Frame on one rank; give its checkpoint."""
    work = tmp_path_factory.mktemp('frame')
    call(sys.executable, ROOT / 'tools/train.py', configs[0], '--work-dir', work)
    return work / 'iter_2.pth'


@pytest.fixture(scope='module')
def dff(configs, frame, tmp_path_factory):
    """Train DFF from Frame on two ranks; give the log and the checkpoint."""
    work = tmp_path_factory.mktemp('two ranks')
    out = call('bash', ROOT / 'tools/dist_train.sh', configs[1], 2, '--work-dir', work,
               '--cfg-options', f'load_from={frame}', 'optim_wrapper.optimizer.lr=0',
               PORT=free_port())  # fmt: skip
    return out, work / 'iter_2.pth'


@pytest.fixture(scope='module')
def tested(configs, dff, tmp_path_factory):
    """Test DFF on one rank; give the log, the results and the drawn frames."""
    folder = tmp_path_factory.mktemp('tested')
    out = call(sys.executable, ROOT / 'tools/test.py', configs[1], dff[1], '--work-dir',
               folder / 'w', '--out', folder / 'r.pkl', '--show-dir',
               folder / 'frames')  # fmt: skip
    return out, pickle.loads((folder / 'r.pkl').read_bytes()), folder / 'frames'


def test_resume_goes_on_with_weights_optimizer_and_logs(configs, frame, tmp_path):
    (tmp_path / 'last_checkpoint').write_text(str(frame))
    out = train(configs[0], '--work-dir', tmp_path, '--resume', '--cfg-options',
                'train_cfg.max_iters=4')  # fmt: skip
    assert 'resumed epoch: 0, iter: 2' in out
    before, after = read_checkpoint(frame), read_checkpoint(tmp_path / 'iter_4.pth')
    steps = [c['optimizer']['state'][0]['step'] for c in (before, after)]
    assert steps == [2, 4]
    logs = [c['message_hub']['log_scalars']['train/loss'].data[0]
            for c in (before, after)]  # fmt: skip
    assert len(logs[0]) == 2 and len(logs[1]) == 4
    np.testing.assert_array_equal(logs[0], logs[1][:2])


def test_dff_starts_from_frame_on_two_ranks_without_a_download(frame, dff):
    """The image model's `Pretrained` weights do not exist, so nobody asked for them."""
    out, checkpoint = dff
    assert 'SyncBN layers of the config become BN' in out
    ours = read_checkpoint(checkpoint)['state_dict']
    theirs = read_checkpoint(frame)['state_dict']
    count = len(theirs)
    assert f'{count} of {count} keys of detector are filled from the checkpoint' in out
    for key, value in theirs.items():  # the learning rate was 0
        if 'running_' not in key and 'num_batches' not in key:
            assert torch.equal(ours[f'detector.{key}'], value), key


def test_results_are_written_and_each_video_drawn_by_itself(tested):
    out, results, frames = tested
    assert 'coco/bbox_mAP_50' in out
    for video, length in LENGTHS.items():
        count = (length + 1) // 2
        assert f'v{video}: {count} key frames in {length}, mean l' in out
    assert [r['img_id'] for r in results] == list(range(1, 8))
    found = sorted(p.relative_to(frames).as_posix() for p in frames.rglob('*.*'))
    assert found == [f'v{v}/{f:06d}.png' for v, n in LENGTHS.items() for f in range(n)]
    for video, length in LENGTHS.items():
        for index in range(length):
            image = cv2.imread(str(frames / f'v{video}' / f'{index:06d}.png'))
            # the videos differ in which channel is full, key frames have a border
            assert image[20:44, 20:76].reshape(-1, 3).mean(0).argmax() == video
            is_key = len(np.unique(image[-1, 40:90].reshape(-1, 3), axis=0)) == 1
            assert is_key == (index % 2 == 0)


def test_two_ranks_test_like_one(configs, dff, tested, tmp_path):
    file = tmp_path / 'r.pkl'
    call('bash', ROOT / 'tools/dist_test.sh', configs[1], dff[1], 2, '--work-dir',
         tmp_path, '--out', file, PORT=free_port())  # fmt: skip
    two = {r['img_id']: r['pred_instances'] for r in pickle.loads(file.read_bytes())}
    one = {r['img_id']: r['pred_instances'] for r in tested[1]}
    assert two.keys() == one.keys()
    for index, theirs in one.items():
        torch.testing.assert_close(two[index]['scores'], theirs['scores'])


def test_a_cut_video_gives_the_same_results(configs, dff, tested, tmp_path):
    file, options = tmp_path / 'r.pkl', 'test_dataloader.sampler.key_interval=2'
    test(configs[1], dff[1], '--work-dir', tmp_path, '--out', file, '--cfg-options',
         options, ranks=2)  # fmt: skip
    two = {r['img_id']: r['pred_instances'] for r in pickle.loads(file.read_bytes())}
    one = {r['img_id']: r['pred_instances'] for r in tested[1]}
    assert two.keys() == one.keys()
    for index, theirs in one.items():
        for name in ('bboxes', 'scores', 'labels'):
            assert torch.equal(two[index][name], theirs[name])


def test_a_cut_elsewhere_than_at_key_frames_is_refused(configs, dff, tmp_path):
    options = ('--cfg-options', 'test_dataloader.sampler.key_interval=3')
    out = test(configs[1], dff[1], '--work-dir', tmp_path, *options, is_ok=False)
    assert 'ValueError: key_interval of the sampler of test_dataloader must be a' in out
    assert 'got 3 and FixedKeyFrameScheduler(interval=2)' in out


def test_a_checkpoint_that_leaves_weights_random_is_refused(configs, frame, tmp_path):
    out = test(configs[1], frame, '--work-dir', tmp_path, is_ok=False)
    assert 'ValueError: the checkpoint is of another model than DFFVideoDetector' in out
    assert 'Missing: propagation.flow_estimator.' in out
