import json
from dataclasses import replace

import numpy as np
import pytest

from dff_study.quickstart.report import (
    TaskResults,
    make_table,
    read_curves,
    save_table,
    warp_image,
)
from dff_study.reports.runs import read_rows


def write_offsets(path, values):
    rows = {str(o): {'vid/AP50': v} for o, v in enumerate(values)}
    path.write_text(json.dumps(dict(offsets=rows)))
    return path


def make_curves(folder):
    files = {
        'DFF': write_offsets(folder / 'a.json', [0.75, 0.5, 0.25]),
        'copied': write_offsets(folder / 'b.json', [0.9, 0.3, 0.0]),
    }
    return read_curves(files, copied='copied', figure='vid/AP50')


def test_frame_is_what_copying_gives_at_offset_0(tmp_path):
    curves = make_curves(tmp_path)
    assert list(curves) == ['Frame', 'DFF', 'copied']
    assert curves['Frame'] == {0: 0.9, 1: 0.9, 2: 0.9}
    assert curves['DFF'] == {0: 0.75, 1: 0.5, 2: 0.25}
    files = {'copied': tmp_path / 'b.json'}
    halved = read_curves(files, copied='copied', figure='vid/AP50', unit=0.5)
    assert halved['copied'] == {0: 0.45, 1: 0.15, 2: 0.0}


def speed(frame, key, other, measured, flow):
    return dict(
        interval=3,
        macs=dict(flow=flow),
        milliseconds=dict(frame=frame, key=key, propagated=other),
        speedup=dict(measured=measured, eq5_measured_parts=2.5, eq5_macs=2.75),
    )


def test_table_holds_each_figure_once(tmp_path):
    speeds = dict(DFF=speed(50, 51, 10, 2.25, 7), copied=speed(48, 52, 5, 3.5, 0))
    streams = dict(Frame=0.8, DFF=0.6, copied=0.4)
    found = TaskResults('AP50', streams, make_curves(tmp_path), speeds)
    rows = make_table({'boxes': found, 'labels': replace(found, label='mIoU')})
    assert rows[:10] == [
        ['', 'Frame', 'DFF', 'copied'],
        ['boxes', '', '', ''],
        ['AP50, stream, l = 3', '0.800', '0.600', '0.400'],
        ['AP50, mean of offsets 0-2', '0.900', '0.500', '0.400'],
        ['AP50, offset 2', '0.900', '0.250', '0.000'],
        ['ms a key frame', '50.0', '51.0', '52.0'],
        ['ms another frame', '50.0', '10.0', '5.0'],
        ['speed-up', '1.00', '2.25', '3.50'],
        ['predicted by Eq. (5), measured parts', '1.00', '2.50', '2.50'],
        ['predicted by Eq. (5), multiply-adds', '1.00', '2.75', 'nan'],
    ]
    assert rows[10:12] == [
        ['labels', '', '', ''],
        ['mIoU, stream, l = 3', '0.800', '0.600', '0.400'],
    ]
    out = tmp_path / 'results.md'
    save_table(rows, out, details=dict(streams=streams))
    lines = read_rows(out.read_text())
    assert lines[0] == ['', 'Frame', 'DFF', 'copied']
    assert lines[-1][2:] == ['2.75', '-']
    kept = json.loads((tmp_path / 'results.json').read_text())
    assert kept['streams'] == streams and kept['table'][-1][-1] == '-'


@pytest.mark.parametrize('x, y', [(2, -1), (-3, 0), (0, 0)])
def test_warped_image_is_the_shifted_one(x, y):
    key = np.random.default_rng(0).integers(1, 256, (9, 13, 3), np.uint8)
    flow = np.tile(np.float32([x, y]), (9, 13, 1))
    warped = warp_image(key, flow)
    for row in range(9):
        for column in range(13):
            inside = 0 <= row + y < 9 and 0 <= column + x < 13
            expected = key[row + y, column + x] if inside else np.zeros(3)
            assert (warped[row, column] == expected).all()
