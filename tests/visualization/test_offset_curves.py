"""Curves by offset: what is read, drawn and refused."""

import json
import runpy
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from dff.visualization.offset_curves import (
    plot_curves,
    plot_panels,
    read_curve,
    save_offset_curves,
    tabulate_curves,
)

ROOT = Path(__file__).resolve().parents[2]


def write_figures(path, values, **more):
    offsets = {str(o): {'vid/AP50': v, **more} for o, v in enumerate(values)}
    path.write_text(json.dumps({'offsets': offsets, 'mean': {}, 'frames': {}}))
    return path


def test_reads_offsets_as_numbers_and_skips_the_undefined(tmp_path):
    path = write_figures(tmp_path / 'a.json', [0.9] * 10 + [None, 0.1], other=1.0)
    name, curve = read_curve(path)
    assert name == 'vid/AP50'
    assert list(curve) == [*range(10), 11] and curve[11] == 0.1
    assert read_curve(path, 'other')[1][3] == 1.0
    with pytest.raises(ValueError, match=r"one of \['vid/AP50', 'other'\]"):
        read_curve(path, 'AP75')


def test_lines_hold_the_values():
    curves = {'dff': {0: 0.9, 1: 0.8}, 'copy': {0: 0.9, 5: 0.3}}
    axes = plot_curves(curves, ylabel='AP').axes[0]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert drawn == {'dff': [[0, 0.9], [1, 0.8]], 'copy': [[0, 0.9], [5, 0.3]]}
    assert axes.get_xticks().tolist() == [0, 1, 5]


def test_panels_stand_side_by_side():
    panels = {'AP': {'a': {0: 0.9, 1: 0.8}}, 'mIoU': {'b': {0: 0.7, 2: 0.6}}}
    drawn = plot_panels(panels).axes
    assert [axes.get_ylabel() for axes in drawn] == ['AP', 'mIoU']
    assert drawn[1].lines[0].get_xydata().tolist() == [[0, 0.7], [2, 0.6]]


def test_tool_writes_a_picture(tmp_path, monkeypatch):
    paths = [write_figures(tmp_path / f'{n}.json', [0.9, 0.5]) for n in ('a', 'b')]
    out = tmp_path / 'curves' / 'offsets.png'
    tool = ROOT / 'tools' / 'analysis' / 'plot_offsets.py'
    monkeypatch.setattr(sys, 'argv', [str(tool), *map(str, paths), '--out', str(out)])
    runpy.run_path(str(tool), run_name='__main__')
    picture = matplotlib.image.imread(out)
    assert picture.shape[:2] == (600, 900) and np.ptp(picture[..., :3]) > 0.5
    assert list(out.parent.iterdir()) == [out]


def test_bad_input_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.json'):
        read_curve(tmp_path / 'nothing.json')
    other = tmp_path / 'other.json'
    other.write_text('[1, 2]')
    with pytest.raises(ValueError, match='must be a JSON file of PerOffsetMetric'):
        read_curve(other)
    path = write_figures(tmp_path / 'a.json', [1.0])
    with pytest.raises(ValueError, match='labels must be 2 different'):
        save_offset_curves([path, path], tmp_path / 'out.png')
    assert not (tmp_path / 'out.png').exists()


def test_table_holds_every_figure_and_the_means():
    curves = {'dff': {0: 0.9, 1: 0.8, 2: 0.6, 3: 0.5}, 'short': {0: 0.9, 1: 0.7}}
    lines = tabulate_curves(curves).splitlines()
    cells = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines]
    assert cells[0] == ['', '0', '1', '2', '3', 'mean 0-1', 'mean 2-3', 'mean 0-3']
    assert cells[2] == [
        'dff', '0.900', '0.800', '0.600', '0.500', '0.850', '0.550', '0.700'
    ]  # fmt: skip
    assert cells[3] == ['short', '0.900', '0.700', '-', '-', '0.800', '-', '-']
