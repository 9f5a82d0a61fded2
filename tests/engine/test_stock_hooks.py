"""Stock hooks of mmdet's and mmengine's around a wrapped detector, by the Runner."""

import copy

import torch
from detectors_under_test import build, read, shrink
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import dff  # noqa: F401  (registers the classes)
from dff.checks.inputs import prepare_config

NAME = 'dff_yolox_s_vid'


class Recorder(BaseMetric):
    """Keep every prediction of every validation."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def process(self, data_batch, data_samples):
        self.results.append(copy.deepcopy(list(data_samples)))

    def compute_metrics(self, results):
        self.seen.append([sample for batch in results for sample in batch])
        return {}


class Witness(Hook):
    """Look at the model between the steps of the Runner."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.losses, self.is_empty, self.ema = [], [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.is_empty.append(runner.model.stream.is_empty)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(set(outputs))

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 0:
            self.is_empty.append(runner.model.stream.is_empty)
            self.ema.append(copy.deepcopy(runner.model.state_dict()))


def loader(root, pipeline, *, batch_size, **kwargs):
    test_mode = kwargs.get('test_mode', False)
    sampler = 'VideoSampler' if test_mode else 'DefaultSampler'
    return dict(
        batch_size=batch_size,
        num_workers=0,
        sampler=dict(type=sampler),
        dataset=dict(
            type='VideoPairDataset',
            dataset=dict(
                type='CocoVIDDataset',
                data_root=str(root),
                ann_file='vid.json',
                data_prefix=dict(img=''),
            ),
            pipeline=pipeline,
            **kwargs,
        ),
    )


def test_yolox_mode_switch_and_ema_around_validation(make_vid_set, tmp_path):
    root = make_vid_set((5, 3), size=(96, 64))
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='RandomAffine', scaling_ratio_range=(0.9, 1.1)),
        dict(type='PackDetInputs'),
    ]
    resize = dict(type='Resize', scale=(96, 64), keep_ratio=True)
    test_pipeline = [pipeline[0], resize, pipeline[-1]]
    cfg = read(NAME)
    prepare_config(cfg.model)
    channels = shrink(cfg.model.detector)
    estimator = dict(width=0.0625, scale_channels=channels)
    cfg.model.propagation.flow_estimator.update(estimator)
    cfg.model.key_frame_scheduler.interval = 3
    cfg.model.detector.data_preprocessor.batch_augments[0].random_size_range = (64, 96)
    recorder, witness = Recorder(), Witness()
    with DefaultScope.overwrite_default_scope('mmdet'):
        runner = Runner(
            model=cfg.model,
            work_dir=str(tmp_path),
            train_dataloader=loader(root, pipeline, batch_size=4),
            val_dataloader=loader(root, test_pipeline, batch_size=8, test_mode=True),
            train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1),
            val_cfg=dict(),
            val_evaluator=[recorder],
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-4)),
            custom_hooks=[
                dict(type='YOLOXModeSwitchHook', num_last_epochs=1, priority=48),
                dict(
                    type='EMAHook',
                    ema_type='ExpMomentumEMA',
                    momentum=0.3,
                    update_buffers=True,
                    priority=49,
                ),
                witness,
            ],
            default_scope='mmdet',
            log_level='WARNING',
        )
        runner.train()
    # L1 from the switch on, and RandomAffine gone from then on
    assert [('loss_bbox' in loss, 'loss_l1' in loss) for loss in witness.losses] == [
        (True, epoch >= 1) for epoch in range(3) for _ in range(2)
    ]
    transforms = runner.train_dataloader.dataset.pipeline.compose.transforms
    assert 'RandomAffine' not in [type(t).__name__ for t in transforms]
    # what was validated are the averaged weights, from a stream of their own
    assert all(witness.is_empty) and len(recorder.seen) == 3
    last = runner.model.state_dict()
    assert any(not torch.equal(last[k], v) for k, v in witness.ema[-1].items())
    fresh = build(NAME, interval=3)
    fresh.load_state_dict(witness.ema[-1])
    data = [item for item in runner.val_dataloader.dataset]
    for item, wanted in zip(data, recorder.seen[-1], strict=True):
        with torch.no_grad():
            batch = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
            (ours,) = fresh.test_step(batch)
        assert ours.offset == wanted['offset']
        for key in ('bboxes', 'scores', 'labels'):
            value = wanted['pred_instances'][key]
            assert torch.equal(ours.pred_instances[key], value), key
