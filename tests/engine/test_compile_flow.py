"""torch.compile of the flow network."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dff.checks.build import build_to_check
from dff.checks.inputs import make_pairs, make_stream
from dff.engine import CompileFlowHook, compile_flow

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / 'configs/vid/dff_rfcn_r50_vid.py'
SMALL = ROOT / 'configs/mini/dff_fcn_r18_synthetic.py'
SIZE = (64, 96)
FRAMES = [(seed, 'a', seed) for seed in range(3)]


def predict(model):
    model.reset_stream()
    with torch.no_grad():
        return model.test_step(make_stream(model, SIZE, FRAMES))


def test_the_hook_compiles_what_a_stream_runs():
    """Traced with all shapes, run as it is: nothing breaks the graph."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    model = build_to_check(SMALL, size=SIZE)
    expected = predict(model)
    hook = CompileFlowHook(backend=backend, fullgraph=True)
    hook.before_run(SimpleNamespace(model=model))
    found = predict(model)
    assert len(graphs) == 1  # two frames that are no key frames, one size
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one.seg_logits.data, other.seg_logits.data)
    model.train()
    losses = model.train_step(make_pairs(model, SIZE, [False]), _Optimiser())
    assert torch.isfinite(losses['loss'])


class _Optimiser:
    def optim_context(self, model):
        return torch.enable_grad()

    def update_params(self, loss):
        loss.backward()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='needs a C++ compiler')
def test_the_default_model_compiles():
    model = build_to_check(DEFAULT, size=(128, 192))
    frames = make_stream(model, (128, 192), FRAMES)
    with torch.no_grad():
        model.reset_stream()
        model.test_step(frames)
        eager = model.stream.flow
        compile_flow(model)
        model.reset_stream()
        found = model.test_step(frames)
    assert [sample.is_key_frame for sample in found] == [True, False, False]
    torch.testing.assert_close(model.stream.flow, eager, rtol=1e-4, atol=1e-4)


def test_an_image_model_is_refused():
    with pytest.raises(TypeError, match='must be a DFF model.*got Linear'):
        compile_flow(nn.Linear(1, 1))
