"""Table 2 beside the paper, and what is printed of any wrapped model."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

import dff  # noqa: F401  (registers the models)
from dff.apis.dff_model import build_dff_model
from dff.cost.complexity_report import PAPER_TABLE2, describe_model, format_model

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'analysis' / 'complexity.py'
WRAPPED = ROOT / 'configs' / 'wrapped'
TOLERANCE = {'FlowNet': 0.005, 'FlowNet Half': 0.005, 'FlowNet Inception': 0.02}
# Eq. (7) at l = 10 with R-101: r of Eq. (6), of Eq. (5)
CEILINGS = {
    'FlowNet': (5.86, 5.51),
    'FlowNet Half': (8.38, 7.64),
    'FlowNet Inception': (9.14, 8.26),
}


@pytest.fixture(autouse=True)
def scope():
    """Leave the default scope as it was."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def run_tool(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
    runpy.run_path(str(TOOL), run_name='__main__')


def test_table_2_of_the_paper(tmp_path, monkeypatch, capsys):
    out = tmp_path / 'figures.json'
    run_tool(monkeypatch, '--out', out)
    printed, figures = capsys.readouterr().out, json.loads(out.read_text())
    features = figures['feature_networks']
    for depth, millions, gmacs in (('50', 42.38, 118.67), ('101', 61.38, 164.01)):
        found = features[depth]
        assert found['macs']['n_feat'] / 1e9 == pytest.approx(gmacs, abs=0.006)
        assert found['parameters']['n_feat'] / 1e6 == pytest.approx(millions, abs=0.006)
        # 1x1 layers on 512 channels: 9 anchors x (2 + 4), 7 x 7 bins x (31 + 4)
        assert found['macs']['n_task'] == 38 * 63 * 512 * (9 * 6 + 49 * 35)
    assert list(figures['flow_networks']) == list(PAPER_TABLE2)
    for name, network in figures['flow_networks'].items():
        for depth, paper in PAPER_TABLE2[name].items():
            found = network['by_depth'][str(depth)]
            assert found['paper'] == paper
            assert found['inverse_ratio'] == pytest.approx(paper, rel=TOLERANCE[name])
            assert f'{found["inverse_ratio"]:.2f} ' in printed
        speedup = network['by_depth']['101']['speedup']['10']
        assert speedup['eq6'] == pytest.approx(CEILINGS[name][0], abs=0.006)
        assert speedup['eq5'] == pytest.approx(CEILINGS[name][1], abs=0.006)
    for cell in ('Table 2', '68.97', '95.24', '46.30', '-0.27 %', '8.26x'):
        assert cell in printed


@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('dff_faster-rcnn_r50_fpn_vid.py', ('backbone', 'neck')),
        ('dff_retinanet_r50_fpn_vid.py', ('backbone', 'neck')),
        ('dff_segformer_mit-b0_cityscapes.py', ('backbone',)),
    ],
)
def test_wrapped_models(name, parts):
    model = build_dff_model(WRAPPED / name)
    figures = describe_model(model, (90, 150), (1, 5))
    counts, image_model = figures['parameters'], model.image_model
    expected = sum(
        p.numel() for part in parts for p in getattr(image_model, part).parameters()
    )
    assert counts['n_feat'] == expected
    assert sum(counts.values()) == sum(p.numel() for p in model.parameters())
    assert min(figures['macs'].values()) > 0
    assert figures['speedup'][1] == dict(eq6=1.0, eq5=1.0)
    ratio = figures['ratio']['eq5']
    assert figures['speedup'][5]['eq5'] == pytest.approx(5 / (1 + 4 * ratio))
    text = format_model(name, figures)
    assert text.startswith(f'{name}, 90x150') and 'Eq. (7), l = 5' in text
    assert ('padded' in text) == (figures['input_size'] != [90, 150])


def test_tool_takes_any_config_size_and_interval(tmp_path, monkeypatch, capsys):
    out, config = tmp_path / 'figures.json', WRAPPED / 'dff_retinanet_r50_fpn_vid.py'
    options = ['--cfg-options', 'model.propagation.flow_estimator.width=0.125']
    args = [config, '--size', '64x96', '--interval', 2, 7, '--out', out]
    run_tool(monkeypatch, *args, *options)
    printed, figures = capsys.readouterr().out, json.loads(out.read_text())[str(config)]
    assert '64x96' in printed and 'Eq. (7), l = 7' in printed
    assert list(figures['speedup']) == ['2', '7']
    assert figures['parameters']['flow'] < 2e6


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--size', '600'], "expected HxW, got '600'"),
        (['--interval', '0'], '--interval must be >= 1, got 0'),
        (['--cfg-options', 'a=1'], '--cfg-options needs a config'),
        (['--wrap'], '--wrap needs a config'),
        (['--wrap', 'a.py', '--interval', '2', '3'], '--wrap takes one --interval'),
    ],
)
def test_tool_names_bad_options(monkeypatch, capsys, options, message):
    with pytest.raises(SystemExit):
        run_tool(monkeypatch, *options)
    assert message in capsys.readouterr().err


def test_a_frame_config_is_refused(monkeypatch):
    with pytest.raises(ValueError, match='must hold a DFF model, got RFCN'):
        run_tool(monkeypatch, ROOT / 'configs' / 'vid' / 'frame_rfcn_r50_vid.py')


def test_interval_replaces_the_scheduler():
    config = ROOT / 'configs' / 'mini' / 'dff_rfcn_r18_synthetic.py'
    assert build_dff_model(config, interval=3).key_frame_scheduler.interval == 3
