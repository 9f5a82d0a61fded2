"""The checks of any config say in words what is wrong, and the tool exits with 1."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

import dff  # noqa: F401  (registers the models)
from dff.checks.build import build_to_check
from dff.checks.model import SMALL, check_model
from dff.models import algorithm

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'check_model.py'
SMALLEST = ROOT / 'configs/mini/dff_rfcn_r18_synthetic.py'
SEGMENTOR = ROOT / 'configs/mini/dff_fcn_r18_synthetic.py'


@pytest.fixture(autouse=True)
def scope():
    """Leave the default scope as it was."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def problems(model):
    return {f.check: f.problem for f in check_model(model) if f.problem}


def test_a_right_segmentor_passes_and_keeps_its_weights():
    model = build_to_check(SEGMENTOR, size=SMALL)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    interval = model.key_frame_scheduler.interval
    assert problems(model) == {}
    after = model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert model.key_frame_scheduler.interval == interval
    assert not model.training and all(p.grad is None for p in model.parameters())


def test_what_is_broken_is_said(monkeypatch):
    model = build_to_check(SMALLEST, size=SMALL)
    warp = model.propagation.warp

    def against_the_flow(feats, fields):
        return warp(feats, {n: (-flow, scale) for n, (flow, scale) in fields.items()})

    model.propagation.warp = against_the_flow
    found = problems(model)
    assert list(found) == ['oracle flow moves the features']
    assert 'flow of (32, -16) pixels' in found['oracle flow moves the features']

    model.propagation.warp = lambda feats, fields: warp(
        feats.detach(), {n: (f.detach(), s) for n, (f, s) in fields.items()}
    )
    text = problems(model)['training reaches every part']
    assert 'no gradient reaches' in text and 'they never train' in text

    del model.propagation.warp
    with monkeypatch.context() as patch:
        patch.setattr(
            algorithm,
            'propagate_together',
            lambda frames: [[frame.seam.head(frame.image)] for frame in frames],
        )
        text = problems(model)['the backbone runs on key frames only']
    assert 'frames [1, 2, 4, 5], which are no key frames' in text

    test_step = model.test_step
    model.test_step = lambda data: test_step(
        dict(data, inputs=[image // 2 for image in data['inputs']])
    )
    assert 'pred_instances' in problems(model)['l = 1 is the wrapped model']


def test_an_error_of_the_model_is_a_finding():
    options = {'model.propagation.flow_estimator.strides': (8, 16)}
    model = build_to_check(SMALLEST, size=SMALL, options=options)
    found = problems(model)
    assert 'ValueError' in found['training reaches every part']
    assert 'set `strides`' in found['training reaches every part']


def run_tool(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
    runpy.run_path(str(TOOL), run_name='__main__')


def test_tool_on_a_checkpoint(tmp_path, monkeypatch, capsys):
    model = build_to_check(SMALLEST, size=SMALL)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    run_tool(monkeypatch, SMALLEST, '--checkpoint', tmp_path / 'a.pth')
    assert 'all 6 checks passed' in capsys.readouterr().out


def test_tool_exits_with_one(monkeypatch, capsys):
    options = ['--cfg-options', 'model.propagation.flow_estimator.strides=(8,16)']
    with pytest.raises(SystemExit, match='of 6 checks failed') as error:
        run_tool(monkeypatch, SMALLEST, *options)
    assert error.value.code
    assert 'FAILED  training reaches every part' in capsys.readouterr().out


def test_tool_on_an_image_model_at_two_splits(monkeypatch, capsys):
    """F without weights has nothing to train, which is no fault."""
    path = ROOT / 'configs/mini/frame_fcn_r18_synthetic.py'
    run_tool(monkeypatch, path, '--split', '1', 'scores')
    out = capsys.readouterr().out
    assert 'split 1\n' in out and 'split scores\n' in out
    assert out.count('all 6 checks passed') == 2


def test_rfcn_has_last_and_scores():
    """R-FCN's numbers of layers have the names that stock models have."""
    path = ROOT / 'configs/mini/frame_rfcn_r18_synthetic.py'
    names = {'last': 1, 'scores': 0, 'backbone': 1, 'auto': 1}
    for name, number in names.items():
        built = [
            build_to_check(path, size=SMALL, options={'model.split': split})
            for split in (name, number)
        ]
        named, numbered = (model.split_point for model in built)
        assert named == numbered
        assert len({m.propagation.flow_estimator.strides for m in built}) == 1


def test_tool_names_the_split_that_a_model_lacks(monkeypatch):
    path = ROOT / 'configs/mini/frame_rfcn_r18_synthetic.py'
    with pytest.raises(SystemExit, match='cannot be built: split must be a stage'):
        run_tool(monkeypatch, path, '--split', 'layer9')


def test_tool_refuses_a_path_that_is_none(monkeypatch):
    with pytest.raises(SystemExit, match='configs/none.py does not exist'):
        run_tool(monkeypatch, ROOT / 'configs/none.py')
