"""Training steps of DFF against Frame's: what is run, and what follows from times."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

import dff  # noqa: F401  (registers the models)
from dff.cost.complexity import Complexity
from dff.cost.training_step import (
    StepTimes,
    TrainingSteps,
    summarise_steps,
    tabulate_steps,
    time_steps,
)

ROOT = Path(__file__).resolve().parents[2]
OPTIMISER = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
SIZE = (64, 96)


@pytest.fixture
def config(dff_config, tmp_path):
    def make(task='segmentor'):
        cfg = dff_config(task, flow=(1, 0))
        cfg.optim_wrapper = OPTIMISER
        if task == 'detector':
            cfg.model.detector.train_cfg = dict(
                assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4),
                allowed_border=-1,
                pos_weight=-1,
                debug=False,
            )
        else:
            cfg.model.segmentor.data_preprocessor.size = SIZE
        cfg.dump(tmp_path / f'{task}.py')
        return str(tmp_path / f'{task}.py')

    return make


@pytest.mark.parametrize('task', ['segmentor', 'detector'])
def test_both_models_are_trained_on_as_many_frames(config, task):
    steps = TrainingSteps(config(task), size=SIZE, batch_size=2)
    seen = dict(frame=[], dff=[])
    weights = {}
    for name, model in steps.models.items():
        image = model if name == 'frame' else model.image_model
        weights[name] = image.backbone.conv.weight
        image.backbone.register_forward_hook(
            lambda _, args, __, name=name: seen[name].append(tuple(args[0].shape))
        )
    assert torch.equal(weights['frame'], weights['dff'])
    before = weights['frame'].clone()
    times = time_steps(steps, repeats=2)
    # one of each warms up; N_feat sees a frame a label, key frames or current ones
    assert seen['frame'] == seen['dff'] == [(2, 3, *SIZE)] * 3
    assert len(times.steps('dff')) == len(times.ratios()) == 2
    assert not torch.equal(weights['frame'], before)
    assert not torch.equal(weights['dff'], before)
    assert not torch.equal(weights['frame'], weights['dff'])  # moved by another loss


def test_ratios_are_taken_round_by_round():
    times = StepTimes(
        forward=dict(frame=[1.0, 2.0, 1.0], dff=[1.0, 3.0, 1.5]),
        backward=dict(frame=[1.0, 2.0, 3.0], dff=[2.0, 3.0, 2.5]),
    )
    assert times.ratios() == [1.5, 1.5, 1.0]
    macs = Complexity(n_feat=80.0, flow=15.0, warp=5.0, n_task=20.0)
    found = summarise_steps(times, macs, dict(frame=100e6, dff=130e6))
    assert (found['ratio'], found['ratio_macs']) == (1.5, 1.2)
    assert found['milliseconds']['frame'] == dict(
        forward=1000.0, backward=2000.0, step=4000.0
    )
    table = tabulate_steps([dict(found, label='A'), dict(found, label='B', memory={})])
    head, rule, *rows = table.splitlines()
    assert set(rule) == {'|', '-'}
    assert len({len(line) for line in table.splitlines()}) == 1  # columns line up
    assert [[cell.strip() for cell in row.split('|')[1:-1]] for row in rows] == [
        'A 4000 4000 1.50 1.25 1.50 1.20 100 130 1.30'.split(),
        'B 4000 4000 1.50 1.25 1.50 1.20 - - -'.split(),
    ]


def test_a_config_without_optimiser_is_refused(config):
    path = Path(config())
    cfg = Config.fromfile(path)
    cfg.pop('optim_wrapper')
    cfg.dump(path)
    with pytest.raises(ValueError, match='must have an optim_wrapper'):
        TrainingSteps(str(path), size=SIZE, batch_size=1)


def test_the_tool_times_and_weighs_a_shipped_config(tmp_path, monkeypatch, capsys):
    out = tmp_path / 'step.json'
    tool = ROOT / 'tools/analysis/benchmark_training.py'
    arguments = [
        str(ROOT / 'configs/mini/dff_fcn_r18_synthetic.py'),
        *('--size', '64x64', '--batch-size', '1', '--repeats', '1'),
        *('--threads', '1', '--label', 'small', '--out', str(out)),
    ]
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, 'argv', [str(tool), *arguments])
    runpy.run_path(str(tool), run_name='__main__')
    torch.set_num_threads(threads)
    figures = json.loads(out.read_text())
    assert '| small ' in capsys.readouterr().out
    assert figures['ratio'] == pytest.approx(figures['rounds'][0])
    assert 1 < figures['ratio_macs'] < 2
    # torch alone takes more than 100 MB; two processes of one program are alike
    assert 100e6 < figures['memory']['frame'] < figures['memory']['dff'] * 1.2
    assert figures['memory']['frame'] != figures['memory']['dff']
