"""Trainings that are killed and resumed, as a user does it."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from commands import ROOT, call, train

RECORD = """
from pathlib import Path
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class RecordLosses(Hook):
    def __init__(self, file):
        self.file = file

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        losses = {k: float(v).hex() for k, v in outputs.items() if 'loss' in k}
        with open(self.file, 'a') as file:
            print((runner.iter, losses), file=file, flush=True)
"""
CONFIG = """
_base_ = 'ROOT/configs/mini/dff_rfcn_r18_synthetic.py'
custom_imports = dict(imports=['dff', 'record_losses'], allow_failed_imports=False)
model = dict(detector=dict(roi_head=dict(num_classes=2)),
             propagation=dict(flow_estimator=dict(width=0.125, init_cfg=None)))
load_from = None
frames = dict(data_root='DATA', ann_file='vid.json', data_prefix=dict(img=''))
pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomResize', scale=(96, 64), ratio_range=(0.8, 1.2)),
    dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(batch_size=2, dataset=dict(dataset=frames, pipeline=pipeline))
val_cfg = val_dataloader = val_evaluator = None
train_cfg = dict(max_iters=14)
param_scheduler = [dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=8)]
default_hooks = dict(checkpoint=dict(interval=3))
custom_hooks = [dict(type='RecordLosses', file='losses.txt')]
"""
BY_EPOCH = """
_base_ = './config.py'
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=3)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1))
"""
ENDLESS = """
_base_ = './config.py'
train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
"""


@pytest.fixture
def place(tmp_path, make_vid_set, monkeypatch):
    """A folder with a config that records losses, and its data of 10 frames."""
    root = make_vid_set((6, 4))
    text = CONFIG.replace('ROOT', str(ROOT)).replace('DATA', str(root))
    (tmp_path / 'config.py').write_text(text)
    for name, text in (('by_epoch', BY_EPOCH), ('endless', ENDLESS)):
        (tmp_path / f'{name}.py').write_text(text)
    (tmp_path / 'record_losses.py').write_text(RECORD)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    return tmp_path


def arguments(place, name, options, config='config'):
    (place / name).mkdir(exist_ok=True)
    losses = f'custom_hooks.0.file={place / name / "losses.txt"}'
    return [place / f'{config}.py', '--work-dir', place / name, '--cfg-options', losses,
            *options]  # fmt: skip


def losses_of(folder):
    """Read the losses; those of a resumed training come later and stay."""
    lines = (folder / 'losses.txt').read_text().splitlines()
    return dict(eval(line) for line in lines), len(lines)


def start_and_kill(arguments, file, count):
    """Kill a training with all of its processes after so many iterations."""
    command = [sys.executable, ROOT / 'tools/train.py', *arguments]
    path = os.pathsep.join([str(ROOT / 'projects'), os.environ['PYTHONPATH']])
    env = dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1')
    process = subprocess.Popen(
        [str(part) for part in command], env=env, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not file.is_file() or len(file.read_text().splitlines()) < count:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('config', ['config', 'endless', 'by_epoch'])
def test_a_killed_training_goes_on_bit_for_bit(place, config, workers):
    """However many workers the uninterrupted one has."""
    none = [
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
    ]
    train(*arguments(place, 'whole', none, config))
    whole, count = losses_of(place / 'whole')
    assert count == len(whole) == (15 if config == 'by_epoch' else 14)

    args = arguments(place, 'killed', [] if workers else none, config)
    moment = random.Random(f'{config} {workers}').randrange(7, 13)
    start_and_kill(args, place / 'killed' / 'losses.txt', moment)
    assert 'resuming from' in train(*args, '--resume')
    found, count = losses_of(place / 'killed')
    assert count > len(found)  # some iterations were made again
    assert found == whole


@pytest.mark.slow
def test_what_was_cut_off_is_not_resumed_from(place):
    """Nor is a name that was cut off; what was left half-written is removed."""
    options = ['train_cfg.max_iters=6']
    train(*arguments(place, 'run', options))
    work = place / 'run'
    whole = (work / 'iter_6.pth').read_bytes()
    (work / 'iter_6.pth').write_bytes(whole[: len(whole) * 2 // 3])
    (work / '.iter_6.abc.pth').write_bytes(whole[:100])
    out = train(*arguments(place, 'run', options), '--resume')
    assert f'resuming from {work / "iter_3.pth"}' in out
    assert torch.load(work / 'iter_6.pth', weights_only=False)['meta']['iter'] == 6
    assert not (work / '.iter_6.abc.pth').exists()

    (work / 'iter_3.pth').write_bytes(whole[: len(whole) // 2])
    args = arguments(place, 'run', options)
    out = train(*args, '--resume', work / 'iter_3.pth', is_ok=False)
    assert f'ValueError: checkpoint {work / "iter_3.pth"} is cut off' in out
    out = train(*args, '--resume', work / 'iter_5.pth', is_ok=False)
    assert 'FileNotFoundError: checkpoint' in out


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_good_checkpoint(place):
    """A limit on the size of files stands in for the disk; it grows too small."""
    options = ['train_cfg.max_iters=3']
    train(*arguments(place, 'run', options))
    good = place / 'run' / 'iter_3.pth'
    size = good.stat().st_size
    options = ['train_cfg.max_iters=6', 'default_hooks.checkpoint.max_keep_ckpts=1']
    args = [str(part) for part in arguments(place, 'run', options)]
    limited = (
        'import resource, runpy, signal, sys; '
        'signal.signal(signal.SIGXFSZ, signal.SIG_IGN); '
        f'resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 2}, {size // 2})); '
        'sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")'
    )
    out = call(sys.executable, '-c', limited, ROOT / 'tools/train.py', *args,
               '--resume', is_ok=False)  # fmt: skip
    assert 'checkpoint iter_6.pth could not be written to' in out
    assert f'the last complete one is {good}' in out
    assert {p.name for p in good.parent.glob('*.pth')} == {'iter_3.pth'}
    assert torch.load(good, weights_only=False)['meta']['iter'] == 3
