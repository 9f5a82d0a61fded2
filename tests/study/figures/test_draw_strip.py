"""Strips of results: what is in which place, and the figures printed."""

import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dff.apis import VideoInferencer
from dff.visualization import VideoVisualizer
from dff_study.figures import draw_strip
from dff_study.figures.draw_strip import save_strip
from dff_study.reports.runs import read_rows

TOOL = Path(__file__).resolve().parents[3] / 'tools/study/draw_strip.py'
HEIGHT, WIDTH = 64, 96
STRIP, GAP = 15, 4  # one line of text above a panel; pixels between panels


@pytest.fixture
def save(dff_config, image_config, checkpoint, moving_video, tmp_path):
    """Draw a strip of the moving patch; give the table's numbers and the picture."""

    def run(task='segmentor', *, flow=(0, 0), with_frame=True, **options):
        out, weights = tmp_path / 'out' / 'strip.png', checkpoint(task)
        if with_frame:
            options['frame_model'] = (image_config(task), weights)
        table = save_strip(
            moving_video(),
            (dff_config(task, flow=flow), weights),
            out=out,
            **dict(length=3, panel_width=WIDTH, opacity=1.0) | options,
        )
        head, *lines = read_rows(table)
        rows = {line[0].split(':')[0]: [float(v) for v in line[1:]] for line in lines}
        return (head, rows), cv2.imread(str(out))

    return run


def panel(picture, row, column):
    y, x = row * (STRIP + HEIGHT + GAP) + STRIP, column * (WIDTH + GAP)
    return picture[y : y + HEIGHT, x : x + WIDTH]


def test_labels_of_frame_and_of_copied_features(save):
    (head, rows), picture = save(flow=(0, 0))
    frame, dff = ([panel(picture, r, c) for c in range(3)] for r in range(2))
    assert head == ['', 'key + 0', 'key + 1', 'key + 2']
    assert (frame[0] == dff[0]).all()
    colors = np.unique(frame[0].reshape(-1, 3), axis=0).tolist()
    assert len(colors) > 1
    assert all(
        color[::-1] in [[250, 10, 20], [0, 200, 0], [9, 9, 255]] for color in colors
    )
    for c in (1, 2):
        assert (dff[c] == dff[0]).all()  # copied
        same = (frame[c] == dff[c]).all(axis=2).mean()
        assert 0.5 < same < 0.99
        assert rows['DFF'][c] == pytest.approx(same, abs=6e-4)
    assert rows['Frame'] == [1, 1, 1] and rows['DFF'][0] == 1
    below = picture[2 * (STRIP + HEIGHT + GAP) - GAP :]
    assert (below == [20, 10, 250]).all(axis=2).any()  # the legend, once


def test_propagated_labels_move_with_the_image(save):
    (_, rows), picture = save(flow=(-2, -1), length=2, key=1)
    frame, dff = (panel(picture, r, 1) for r in range(2))
    assert (frame == dff).mean() > 0.999 and rows['DFF'][1] > 0.999
    assert (panel(picture, 1, 0) != dff).any()


def test_plain_frames_by_steps_from_the_key_frame(save, moving_video):
    options = dict(key=1, length=2, step=2, with_images=True, with_frame=False)
    options['label'] = 'copied'
    (head, rows), picture = save(**options)
    frames = moving_video()
    assert head == ['', 'key + 0', 'key + 2']
    assert (panel(picture, 0, 0) == frames[1]).all()
    assert (panel(picture, 0, 1) == frames[3]).all()
    assert list(rows) == ['copied']
    assert (panel(picture, 1, 1) == panel(picture, 1, 0)).all()  # one key frame


def test_a_part_of_the_frames(save, moving_video):
    options = dict(crop=[8, 16, 48, 40], panel_width=48, length=2)
    _, picture = save(with_images=True, with_frame=False, **options)
    frames = moving_video()
    for c in range(2):
        shown = picture[STRIP : STRIP + 40, c * (48 + GAP) :][:, :48]
        assert (shown == frames[c][16:56, 8:56]).all()


def test_boxes_are_those_of_the_models(save, image_config, moving_video, tmp_path):
    (_, rows), picture = save('detector', score_thr=0.1)
    model = VideoInferencer(image_config('detector'), tmp_path / 'detector.pth')
    visualizer = VideoVisualizer(model.dataset_meta, score_thr=0.1)
    results = list(model.with_images(moving_video()[:3]))
    for c, (image, sample) in enumerate(results):
        drawn = visualizer.draw_results(image, sample)
        assert (drawn != image).any()
        assert (panel(picture, 0, c) == drawn).all()
        count = (sample.pred_instances.scores > 0.1).sum()
        assert rows['Frame'][c] == count > 0
        copied = visualizer.draw_results(image, results[0][1])
        assert (panel(picture, 1, c) == copied).all()
        assert rows['DFF'][c] == rows['Frame'][0]
    assert picture.shape[:2] == (2 * (STRIP + HEIGHT) + GAP, 3 * (WIDTH + GAP) - GAP)


def test_no_boxes_where_none_is_sure(save, moving_video):
    (_, rows), picture = save('detector', score_thr=1.0, with_frame=False)
    assert rows['DFF'] == [0, 0, 0]
    for c, frame in enumerate(moving_video()[:3]):
        assert (panel(picture, 0, c) == frame).all()


def test_the_interval_of_the_config_does_not_count(
    dff_config, checkpoint, moving_video, tmp_path
):
    cfg, out = dff_config(), tmp_path / 'strip.png'
    cfg.model.key_frame_scheduler = dict(type='FixedKeyFrameScheduler', interval=2)
    options = dict(out=out, length=4, panel_width=WIDTH)
    save_strip(moving_video(), (cfg, checkpoint()), opacity=1.0, **options)
    picture = cv2.imread(str(out))
    assert (panel(picture, 0, 3) == panel(picture, 0, 0)).all()


def test_tool(
    dff_config, image_config, checkpoint, moving_video, tmp_path, monkeypatch, capsys
):
    video = cv2.VideoWriter(
        str(tmp_path / 'a.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 25, (WIDTH, HEIGHT)
    )
    for frame in moving_video():
        video.write(frame)
    video.release()
    dff_config().dump(tmp_path / 'dff.py')
    image_config().dump(tmp_path / 'frame.py')
    weights = checkpoint()
    files = [tmp_path / 'a.mp4', tmp_path / 'dff.py', weights]
    frame = ['--frame-config', tmp_path / 'frame.py', '--frame-checkpoint', weights]
    args = [*files, '--out', tmp_path / 'a.jpg', '--length', 3, '--panel-width', 80]
    monkeypatch.setattr(sys, 'argv', ['draw_strip.py', *map(str, args + frame)])
    runpy.run_path(str(TOOL), run_name='__main__')
    rows = {row[0]: row[1:] for row in read_rows(capsys.readouterr().out)}
    assert rows['Frame: pixels as in the first row'][0] == '1.000'
    assert cv2.imread(str(tmp_path / 'a.jpg')).shape[1] == 3 * 84 - 4
    monkeypatch.setattr(sys, 'argv', ['draw_strip.py', *map(str, args + frame[:2])])
    with pytest.raises(SystemExit):
        runpy.run_path(str(TOOL), run_name='__main__')
    assert '--frame-config needs --frame-checkpoint' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(length=5), 'frame 4 is past the end of frames, which has 4 frames'),
        (dict(key=2, length=2, step=2), 'frame 4 is past the end'),
        (dict(key=-1), 'frame numbers must be at least 0, got -1'),
        (dict(length=0), 'length and step must be at least 1, got 0 and 1'),
        (dict(step=0), 'length and step must be at least 1, got 3 and 0'),
        (dict(label='Frame'), "label must not be 'Frame'"),
        (dict(crop=[60, 0, 40, 9]), 'reaches past the frame of 96 x 64 pixels'),
        (dict(crop=[0, 0, 9, 0]), r'width, height >= 1, got \[0, 0, 9, 0\]'),
        (dict(opacity=2), r'opacity must be in \[0, 1\]'),
    ],
)
def test_errors_leave_nothing_behind(save, tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        save(**options)
    assert not (tmp_path / 'out').exists()


def test_wrong_models_and_names(image_config, dff_config, moving_video, tmp_path):
    frames, out = moving_video(), tmp_path / 'strip.png'
    model = (dff_config(), None)
    with pytest.raises(ValueError, match='image model, got a DFFVideoSegmentor'):
        save_strip(frames, model, out=out, length=2, frame_model=model)
    with pytest.raises(ValueError, match=r'strip\.mp4 must end in one of'):
        save_strip(frames, model, out=tmp_path / 'strip.mp4')
    assert list(tmp_path.iterdir()) == []


def test_a_failed_writing_leaves_nothing_behind(save, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError('no space left')

    monkeypatch.setattr(draw_strip, 'write_picture', fail)
    with pytest.raises(OSError, match='no space left'):
        save()
    assert list((tmp_path / 'out').iterdir()) == []
