"""Timing and its summary, and the multiply-adds of the paper's models."""

import json
import runpy
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

import dff  # noqa: F401  (registers the models)
from dff.cost.benchmark import (
    Stopwatch,
    Timings,
    count_model,
    make_data,
    moving_frames,
    preprocess,
    time_model,
)
from dff.cost.benchmark_report import format_summary, summarise
from dff.cost.complexity import Complexity, count_macs
from dff.models import AdaptiveKeyFrameScheduler

ROOT = Path(__file__).resolve().parents[2]
R101 = ROOT / 'configs' / '_base_' / 'models' / 'rfcn_r101.py'
SIZE = (96, 160)
INTERVAL = 3


def dff_config(*, depth, interval=INTERVAL, width=1.0):
    detector = Config.fromfile(R101).model
    detector.backbone.depth = depth
    if depth < 50:
        detector.neck.in_channels = 512
    return dict(
        type='mmdet.DFFVideoDetector',
        detector=detector,
        propagation=dict(
            type='FeaturePropagation',
            flow_estimator=dict(type='FlowNetS', width=width),
        ),
        key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=interval),
    )


def build(config):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(config).eval()


@pytest.fixture(scope='module')
def small_model():
    torch.manual_seed(0)
    return build(dff_config(depth=18, width=0.125))


def test_frames_move():
    frames = moving_frames((40, 56), 3)
    assert frames[0].dtype == torch.uint8 and frames[0].shape == (3, 40, 56)
    for frame, after in zip(frames, frames[1:], strict=False):
        assert torch.equal(frame[:, :-1, :-2], after[:, 1:, 2:])
        assert not torch.equal(frame, after)


@pytest.mark.parametrize(('depth', 'gmacs'), [(101, 164.01), (50, 118.67)])
def test_feature_network_of_the_paper(depth, gmacs):
    model = build(dff_config(depth=depth)).detector.to('meta')
    images = torch.empty(1, 3, 600, 1000, device='meta')
    macs, _ = count_macs(lambda: model.extract_feat(images))
    assert macs / 1e9 == pytest.approx(gmacs, abs=0.006)  # paper Tab. 2


@pytest.mark.parametrize(
    ('width', 'gmacs', 'ceiling', 'with_task'),
    [(1.0, 12.90, 5.86, 5.51), (0.5, 3.53, 8.38, 7.64)],
)
def test_flow_network_and_ceiling_of_the_paper(width, gmacs, ceiling, with_task):
    net = MODELS.build(dict(type='FlowNetS', width=width)).eval()
    frame = torch.zeros(1, 3, 600, 1000)
    macs, (flow, scale) = count_macs(lambda: net(frame, frame))
    assert flow.shape == (1, 2, 38, 63) and scale.shape == (1, 1024, 38, 63)
    assert macs / 1e9 == pytest.approx(gmacs, abs=0.006)  # paper Tab. 2
    # 1x1 layers on 512 channels: 9 anchors x (2 + 4), 7 x 7 bins x (31 + 4)
    task = 38 * 63 * 512 * (9 * 6 + 49 * 35)
    macs = Complexity(int(164.01e9), macs, warp=0, n_task=task)
    timings = fake_timings(frame=[1.0], key=[1.0], propagated=[1.0])
    speedup = summarise(timings, macs, interval=10)['speedup']
    assert speedup['eq6_macs'] == pytest.approx(ceiling, abs=0.006)
    assert speedup['eq5_macs'] == pytest.approx(with_task, abs=0.006)


def test_parts_add_up_to_the_hooked_convolutions(small_model):
    """Count the convolutions of a key frame and of the next one by hooks."""
    counts = []

    def count(module, args, out):
        spots = args[0] if isinstance(module, nn.ConvTranspose2d) else out
        cells = spots.shape[0] * spots.shape[2] * spots.shape[3]
        counts.append(cells * module.weight.numel())

    frames = moving_frames(SIZE, 2)
    macs = count_model(small_model, frames[0])
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    handles = [
        m.register_forward_hook(count)
        for m in small_model.modules()
        if isinstance(m, kinds)
    ]
    by_frame = []
    with torch.no_grad():
        for frame_id, frame in enumerate(frames):
            counts.clear()
            small_model.test_step(make_data(small_model, frame, frame_id))
            by_frame.append(sum(counts))
    for handle in handles:
        handle.remove()
    assert by_frame == [macs.frame, macs.flow + macs.n_task]
    assert macs.n_feat > macs.n_task > 0
    assert macs.warp == 5 * 1024 * (96 // 16) * (160 // 16)


def test_every_part_is_timed(small_model):
    frames = moving_frames(SIZE, INTERVAL)
    calls = []
    timings = time_model(
        small_model, frames, repeats=2, on_frame=lambda: calls.append(1)
    )
    counts = {name: len(getattr(timings, name)) for name in Timings.names()}
    assert counts == dict(
        frame=6, key=2, propagated=4, n_feat=2, flow=2, warp=2, n_task=2
    )
    assert len(timings.rounds) == 2 and len(calls) == 6
    assert min(min(getattr(timings, name)) for name in counts) > 0
    assert sum(a for a, _ in timings.rounds) == pytest.approx(sum(timings.frame))
    stream = sum(timings.key) + sum(timings.propagated)
    assert sum(b for _, b in timings.rounds) == pytest.approx(stream)


def test_backbone_runs_as_often_as_is_timed(small_model):
    runs = []
    handle = small_model.detector.backbone.register_forward_hook(
        lambda *_: runs.append(1)
    )
    time_model(small_model, moving_frames(SIZE, INTERVAL), repeats=1)
    handle.remove()
    warm_up, frame_by_frame, key, part = 2 + 1 + 1, INTERVAL, 1, 1
    assert len(runs) == warm_up + frame_by_frame + key + part


def test_another_interval_is_refused(small_model):
    with pytest.raises(ValueError, match='FixedKeyFrameScheduler with interval=4'):
        time_model(small_model, moving_frames(SIZE, 4), repeats=1)


def test_stream_equals_the_parts_that_are_timed(small_model):
    frames = moving_frames(SIZE, 2)
    small_model.reset_stream()
    with torch.no_grad():
        for frame_id, frame in enumerate(frames):
            data = make_data(small_model, frame, frame_id)
            (streamed,) = small_model.test_step(data)
        key, _ = preprocess(small_model, make_data(small_model, frames[0], 0))
        cur, sample = preprocess(small_model, make_data(small_model, frames[1], 1))
        propagation, seam = small_model.propagation, small_model.seam
        feats = seam.head(key)
        fields = propagation.fields(*propagation.estimate(cur, key, [SIZE]), feats)
        feats = propagation.warp(feats, fields)
        (by_parts,) = seam.run('predict', cur, feats, [sample])
    boxes = by_parts.pred_instances.bboxes
    assert torch.equal(boxes, streamed.pred_instances.bboxes)


def test_stopwatch_measures_the_call():
    cpu = torch.device('cpu')
    seconds, result = Stopwatch(cpu).time(lambda: time.sleep(0.05) or 'done')
    assert 0.05 <= seconds < 5 and result == 'done'
    seconds, _ = Stopwatch(cpu, time.process_time).time(lambda: time.sleep(0.05))
    assert seconds < 0.04  # sleeping takes no CPU time


def fake_timings(frame, key, propagated):
    timings = Timings(frame=frame, key=key, propagated=propagated)
    timings.n_feat, timings.flow = [0.9, 0.7, 0.8], [0.08]
    timings.warp, timings.n_task = [0.01], [0.1, 0.1]
    timings.rounds = [(3.0, 1.5), (30.0, 10.0), (3.0, 1.2)]
    timings.num_predictions = [3, 5]
    return timings


def test_summary_by_hand():
    timings = fake_timings(frame=[1.0] * 3, key=[1.1], propagated=[0.2, 0.3, 0.2])
    macs = Complexity(n_feat=800, flow=40, warp=5, n_task=50)
    summary = summarise(timings, macs, interval=3)
    assert summary['milliseconds']['n_feat'] == pytest.approx(800)
    assert summary['rest_milliseconds'] == pytest.approx(
        dict(frame=100, key=200, propagated=10)
    )
    speedup = summary['speedup']
    assert speedup['measured'] == 2.5 and speedup['rounds'] == [2.0, 3.0, 2.5]
    assert speedup['eq5_macs'] == pytest.approx(3 / (1 + 2 * 90 / 850))
    assert speedup['eq6_macs'] == pytest.approx(3 / (1 + 2 * 40 / 800))
    assert speedup['eq5_measured_parts'] == pytest.approx(3 / (1 + 2 * 0.19 / 0.9))
    assert list(summary['loss'].values()) == pytest.approx(
        [
            3 / (1 + 2 * 90 / 850),
            3 / (1 + 2 * (0.1 + 0.04) / 0.9),
            3 / (1 + 2 * (0.1 + 0.08) / 0.9),
            3 / (1 + 2 * 0.19 / 0.9),
            3 * 1.0 / (1.1 + 2 * 0.2),
        ]
    )
    assert summary['predictions_per_frame'] == 4
    text = format_summary(summary)
    for cell in ('N_feat', '800.0', 'DFF other', '200.0', '2.50'):
        assert cell in text


def run_tool(monkeypatch, *args):
    tool = ROOT / 'tools' / 'analysis' / 'benchmark.py'
    monkeypatch.setattr(sys, 'argv', [str(tool), *map(str, args)])
    with DefaultScope.overwrite_default_scope('mmdet'):
        runpy.run_path(str(tool), run_name='__main__')


def test_tool(tmp_path, monkeypatch, capsys):
    config, out = tmp_path / 'dff.py', tmp_path / 'figures.json'
    Config(dict(model=dff_config(depth=18, width=0.125))).dump(config)
    options = ['--size', '96x160', '--interval', 2, '--repeats', 1, '--threads', 1]
    run_tool(
        monkeypatch, config, *options, '--cpu-time', '--random-weights', '--out', out
    )
    printed = capsys.readouterr().out
    assert 'Eq. (7), r of Eq. (5), MACs' in printed and 'Random weights' in printed
    figures = json.loads(out.read_text())
    assert figures['interval'] == 2 and figures['size'] == [96, 160]
    assert figures['speedup']['measured'] > 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ([], 'pass either a checkpoint or --random-weights'),
        (['--random-weights', '--interval', 1], '--interval must be >= 2'),
        (['--random-weights', '--cpu-time'], '--cpu-time needs --threads 1'),
        (['--random-weights', '--size', '600'], "expected HxW, got '600'"),
    ],
)
def test_tool_names_bad_options(monkeypatch, capsys, options, message):
    with pytest.raises(SystemExit):
        run_tool(monkeypatch, 'dff.py', *options)
    assert message in capsys.readouterr().err


def test_tool_wraps_an_image_model(tmp_path, monkeypatch):
    config, out = tmp_path / 'frame.py', tmp_path / 'figures.json'
    model = Config.fromfile(ROOT / 'configs/mini/frame_fcn_r18_synthetic.py').model
    Config(dict(default_scope='mmseg', model=model)).dump(config)
    options = ['--random-weights', '--size', '64x96', '--interval', '2', '--out', out]
    options += ['--repeats', '1', '--cfg-options', 'model.split=scores']
    run_tool(monkeypatch, config, *options)
    figures = json.loads(out.read_text())
    assert figures['split'] == 'scores'
    assert figures['macs']['n_task'] == 0 < figures['macs']['n_feat']


def test_an_adaptive_scheduler_is_timed_on_any_number_of_frames(small_model):
    scheduler = small_model.key_frame_scheduler
    small_model.key_frame_scheduler = AdaptiveKeyFrameScheduler(2, 4)
    frames = [moving_frames(SIZE, 1)[0]] * 9  # nothing moves: the longest interval
    try:
        timings = time_model(small_model, frames, repeats=1)
    finally:
        small_model.key_frame_scheduler = scheduler
    assert timings.key_frames == [0, 4, 8]
    assert (len(timings.key), len(timings.propagated)) == (3, 6)
    summary = summarise(timings, count_model(small_model, frames[0]), 2)
    assert summary['key_frames']['mean_interval'] == 3
    line = '3 key frames in 9, mean l 3.00, at 0 to 8, every 4th'
    assert line in format_summary(summary)
