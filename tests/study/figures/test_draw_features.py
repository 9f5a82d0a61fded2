"""Propagated features beside true ones: figures by hand, and where panels are."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from matplotlib import colormaps
from mmcv.visualization import flow2rgb

from dff.apis import VideoInferencer
from dff.visualization.panels import flow_wheel, map_to_panel, panel_grid
from dff_study.figures import draw_features
from dff_study.figures.draw_features import save_features
from dff_study.figures.feature_likeness import choose_channels, correlation, measure
from dff_study.figures.feature_maps import FrameMaps, carry_features
from dff_study.reports.runs import read_rows

TOOL = Path(__file__).resolve().parents[3] / 'tools/study/draw_features.py'
HEIGHT, WIDTH = 64, 96
STRIP, GAP = 30, 4  # two lines of text above a panel; pixels between panels


@pytest.fixture
def save(dff_config, checkpoint, moving_video, tmp_path):
    """Draw the moving patch; give the figures and the picture."""

    def run(task='segmentor', *, flow=(-2, -1), scale=None, **options):
        out = tmp_path / 'out' / 'features.png'
        options = dict(offsets=[1], panel_width=WIDTH) | options
        figures = save_features(
            moving_video(),
            dff_config(task, flow=flow, scale=scale),
            checkpoint(task),
            out=out,
            **options,
        )
        return figures, cv2.imread(str(out))

    return run


def panel(picture, row, column):
    y, x = row * (STRIP + HEIGHT + GAP) + STRIP, column * (WIDTH + GAP)
    return picture[y : y + HEIGHT, x : x + WIDTH]


def weight_of(path):
    state = torch.load(path)['state_dict']
    return state['backbone.conv.weight'].double().numpy()


@pytest.mark.parametrize('task', ['segmentor', 'detector'])
def test_no_flow_is_copying_and_the_figures_are_those_by_hand(
    save, task, moving_video, features_by_hand, tmp_path
):
    figures, _ = save(task, flow=(0, 0), offsets=[1, 3], key=0, channels=[4, 0])
    frames = moving_video()
    if task == 'segmentor':
        weight = weight_of(tmp_path / 'segmentor.pth')
        key, *others = (features_by_hand(frames[i], weight) for i in (0, 1, 3))
        for frame, true in zip(figures['frames'], others, strict=True):
            error = np.abs(key - true).sum() / np.abs(true).sum()
            assert frame['error']['copied'] == pytest.approx(error, rel=1e-4)
            pairs = zip(key, true, strict=True)
            link = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
            found = frame['median_correlation']['copied']
            assert found == pytest.approx(np.median(link), abs=1e-5)
            for c in (4, 0):
                found = frame['channels'][c]['correlation']['copied']
                assert found == pytest.approx(link[c], abs=1e-5)
    for frame in figures['frames']:
        assert frame['error']['propagated'] == frame['error']['copied'] > 0.1
        for channel in frame['channels'].values():
            assert channel['error']['propagated'] == channel['error']['copied']
        assert frame['flow'] == dict(mean=0, max=0)
    assert [frame['offset'] for frame in figures['frames']] == [1, 3]


def test_the_true_flow_gives_the_true_features(save):
    figures, _ = save(flow=(-2, -1), key=1, offsets=[1])
    (frame,) = figures['frames']
    assert frame['error']['propagated'] < 1e-5 < 0.5 < frame['error']['copied']
    assert frame['median_correlation']['propagated'] == pytest.approx(1)
    length = 8 * 5**0.5  # pixels of the frame
    assert frame['flow'] == pytest.approx(dict(mean=length, max=length))
    assert 'scale' not in frame
    two, _ = save(flow=(-4, -2), key=1, offsets=[2])
    assert two['frames'][0]['error']['propagated'] < 1e-5


def test_a_scale_of_three_halves_is_an_error_of_one_half(save):
    figures, _ = save(flow=(-2, -1), scale=1.5)
    (frame,) = figures['frames']
    assert frame['error']['propagated'] == pytest.approx(0.5, rel=1e-4)
    assert frame['median_correlation']['propagated'] == pytest.approx(1)
    assert frame['scale'] == dict(min=1.5, max=1.5)


def test_every_panel_is_in_its_place(save, moving_video, features_by_hand, tmp_path):
    figures, picture = save(flow=(-2, -1), scale=1.5, channels=[2], offsets=[1, 2])
    rows, columns = 3, 5
    assert picture.shape[:2] == (
        rows * (STRIP + HEIGHT + GAP) - GAP,
        columns * (WIDTH + GAP) - GAP,
    )
    frames = moving_video()
    for i in range(3):
        assert (panel(picture, i, 0) == frames[i]).all()
    rgb = flow2rgb(np.full((4, 4, 2), [-16.0, -8.0]), unknown_thr=1e9)[0, 0]
    for i in (1, 2):
        shown = panel(picture, i, 1)
        assert np.abs(shown - 255 * rgb[::-1]).max() <= 1.5
        red = 255 * np.array(colormaps['coolwarm'](1.0)[2::-1])  # 1.5 of 0.5 to 1.5
        assert np.abs(panel(picture, i, 2) - red).max() <= 1
    feats = features_by_hand(frames[1], weight_of(tmp_path / 'segmentor.pth'))[2]
    high = 1.5 * feats.max()  # that of the propagated map
    for column, factor in ((3, 1), (4, 1.5)):
        shown = panel(picture, 1, column)
        for y in range(8):
            for x in range(12):
                color = colormaps['viridis'](factor * feats[y, x] / high)[2::-1]
                block = shown[8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
                assert np.abs(block - 255 * np.array(color)).max() <= 3, (y, x)


def test_the_wheel_has_the_colours_of_the_flow():
    wheel = flow_wheel((41, 61), max_norm=5.0)
    assert (wheel[0, 0] == 0).all() and (wheel[20, 30] == 255).all()
    blue, green, red = wheel[20, 48]  # right of the centre
    assert red > 200 and green < 60 and blue < 60
    blue, green, red = wheel[38, 30]  # below
    assert red > 200 and green > 150 and blue < 60


def test_cells_past_the_border_are_cut():
    colors = np.zeros((2, 3, 3), np.uint8)
    colors[..., 0] = [[10, 20, 30], [40, 50, 60]]
    shown = map_to_panel(colors, (12, 20), reach=(16 / 12, 24 / 20))[..., 0]
    assert (shown[:8, :8] == 10).all() and (shown[8:, :8] == 40).all()
    assert (shown[8:, 16:] == 60).all()
    shown = map_to_panel(colors, (20, 24), reach=(16 / 20, 1))[..., 0]
    assert (shown[8:16, :8] == 40).all() and (shown[16:] == 0).all()
    with pytest.raises(ValueError, match='rows must have one length'):
        panel_grid([[None]])


def maps_of(own, carried):
    flow = np.zeros((4, 4, 2), np.float32)
    image = np.zeros((4, 4, 3), np.uint8)
    return FrameMaps(image, own, carried, flow, None, (1, 1))


def test_channels_change_and_are_propagated_well():
    rng = np.random.default_rng(0)
    key = rng.random((8, 5, 6)).astype(np.float32)
    own = key.copy()
    for c, change in ((3, 9), (5, 6), (6, 3)):
        own[c] += change * rng.random((5, 6))
    carried = own.copy()
    carried[3] = -own[3]
    carried[5] += 0.1 * rng.random((5, 6))
    maps = [maps_of(key, key), maps_of(own, carried)]
    # two of eight channels are a quarter: 3 and 5 change most
    assert choose_channels(maps, 1) == [5]
    assert choose_channels(maps, 2) == [5, 3]
    assert choose_channels(maps, 3) == [6, 5, 3]
    for count in (0, 9):
        with pytest.raises(ValueError, match=rf'num_channels.*\[1, 8\], got {count}'):
            choose_channels(maps, count)


def test_constant_channels_have_no_correlation():
    true = np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)
    feats = np.stack([3 * true[0] + 1, np.ones((3, 4))])
    assert correlation(feats, true)[0] == pytest.approx(1)
    assert np.isnan(correlation(feats, true)[1])
    nothing = maps_of(np.zeros_like(true), true)
    figures = measure(nothing, maps_of(true, true), [0])
    assert np.isnan(figures['error']['propagated'])


def test_tool_writes_picture_and_figures(
    dff_config, checkpoint, moving_video, tmp_path, monkeypatch, capsys
):
    for i, frame in enumerate(moving_video()):
        (tmp_path / 'video').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / 'video' / f'{i}.png'), frame)
    cfg = dff_config(flow=(-2, -1))
    cfg.dump(tmp_path / 'cfg.py')
    args = [tmp_path / 'video', tmp_path / 'cfg.py', checkpoint()]
    args += ['--out', tmp_path / 'a.jpg', '--offsets', '1', '2', '--num-channels', '2']
    monkeypatch.setattr(sys, 'argv', ['draw_features.py', *map(str, args)])
    runpy.run_path(str(TOOL), run_name='__main__')
    printed = capsys.readouterr().out
    figures = json.loads((tmp_path / 'a.json').read_text())
    assert len(figures['channels']) == 2 and 'change most' in figures['chosen_by']
    assert f'channels {figures["channels"]}: of the 25%' in printed
    (row,) = [row for row in read_rows(printed) if row[0] == '2']
    error = figures['frames'][1]['error']
    assert row[2:4] == [f'{error["propagated"]:.3f}', f'{error["copied"]:.3f}']
    assert cv2.imread(str(tmp_path / 'a.jpg')).shape[1] == 6 * 244 - 4


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(key=2, offsets=[1, 2]), 'frame 4 is past the end of frames, .* 4 frames'),
        (dict(key=9), 'frame 10 is past the end of frames'),
        (dict(key=-1), 'frame numbers must be at least 0, got -1'),
        (dict(offsets=[0, 1]), r'offsets must be .* at least 1, got \[0, 1\]'),
        (dict(offsets=[1, 1]), 'offsets must be different'),
        (dict(channels=[1, 6]), r'channels must be in \[0, 6\).*got \[1, 6\]'),
        (dict(channels=[]), r'channels must be in \[0, 6\), at least one'),
        (dict(num_channels=7), r'num_channels must be in \[1, 6\], got 7'),
        (dict(level=1), r'level must be one of \[0\], got 1'),
    ],
)
def test_errors_leave_nothing_behind(save, tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        save(**options)
    assert not (tmp_path / 'out').exists()


def test_a_failed_writing_leaves_nothing_behind(save, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError('no space left')

    monkeypatch.setattr(draw_features, 'write_json', fail)
    with pytest.raises(OSError, match='no space left'):
        save()
    assert list((tmp_path / 'out').iterdir()) == []


def test_wrong_models_frames_and_names(
    dff_config, moving_video, tmp_path
):
    frames = moving_video()
    with pytest.raises(ValueError, match=r'out\.gif must end in one of \.png \.jpg'):
        save_features(frames, dff_config(), None, out=tmp_path / 'out.gif')
    inferencer = VideoInferencer(dff_config(), interval=1)
    with pytest.raises(ValueError, match=r'one size, got \[\(64, 80\), \(64, 96\)\]'):
        carry_features(inferencer, [frames[0], frames[1][:, :80]])
    assert list(tmp_path.iterdir()) == []
