"""Rates of a cut detector, and the command that prints them."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from dff.checks.cuts import find_cuts, find_keys, measure_cuts
from dff.models import CutDetector

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 96, 128


def shot(seed, count=12):
    """Frames (H, W, 3) of a smooth random scene that moves by 2 x 1 pixels."""
    coarse = np.random.default_rng(seed).integers(20, 220, (14, 18, 3), dtype=np.uint8)
    whole = cv2.resize(coarse, (WIDTH + 40, HEIGHT + 20), interpolation=cv2.INTER_CUBIC)
    return [whole[i : i + HEIGHT, 2 * i : 2 * i + WIDTH] for i in range(count)]


class EveryThird:
    """A detector whose answers are known: each third frame that it is asked about."""

    def __init__(self):
        self.asked = 0

    def is_cut(self, frame):
        self.asked += 1
        return self.asked % 3 == 0

    def is_unexplained(self, frame):
        return False


def test_keys_are_those_of_the_schedule_and_of_the_detector():
    keys = list(find_keys(shot(0, 8), detector=EveryThird(), interval=2))
    # asked about 1, 2, ...: cuts at 3 and 6; the schedule: 0, 2, 5, 8
    assert [i for i, (is_key, _) in enumerate(keys) if is_key] == [0, 2, 3, 5, 6]
    assert [offset for _, offset in keys] == [0, 1, 2, 1, 1, 2, 1, 1]
    assert find_cuts(shot(0, 8), detector=EveryThird(), interval=2) == [3, 6]


def test_cuts_between_scenes_are_found():
    images = shot(0, 4) + shot(1, 7) + shot(2, 3)
    assert find_cuts(images, detector=CutDetector(), interval=5) == [4, 11]


def test_rates_are_counted_over_phases_and_pairs():
    videos = dict(a=shot(0), b=shot(1), c=shot(2))
    rates = measure_cuts(videos, detector=CutDetector(), interval=3, repeats=2)
    assert rates.uncut_frames == 3 * (12 + 11 + 10) and rates.false_keys == []
    assert rates.joins == {1: 12, 2: 12} == rates.found  # 6 ordered pairs, twice
    assert {len(firsts) for firsts in rates.effects.values()} == {6}
    assert rates.effects['flash of one frame, 40 % white'] == [None] * 6
    assert rates.effects['flash of one frame, white'] == [0] * 6
    assert 0 < rates.milliseconds < float('inf')
    blind = CutDetector(threshold=100, key_threshold=None)
    rates = measure_cuts(videos, detector=blind, interval=3, repeats=1)
    assert rates.found == {1: 0, 2: 0}
    assert all(first is None for row in rates.effects.values() for first in row)


def test_what_cannot_be_measured():
    with pytest.raises(ValueError, match='at least two videos of 11 frames, got 1'):
        measure_cuts(dict(a=shot(0)), detector=CutDetector(), interval=3)
    videos = dict(a=shot(0), b=shot(1, 5))
    with pytest.raises(ValueError, match="too short: {'b': 5}"):
        measure_cuts(videos, detector=CutDetector(), interval=3)
    with pytest.raises(ValueError, match='interval must be at least 2, got 1'):
        measure_cuts(dict(a=shot(0), b=shot(1)), detector=CutDetector(), interval=1)


def test_the_command(tmp_path, capsys, monkeypatch):
    spec = importlib.util.spec_from_file_location(
        'detect_cuts', ROOT / 'tools/analysis/detect_cuts.py'
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name, images in dict(
        film=shot(0, 5) + shot(1, 5), a=shot(2), b=shot(3)
    ).items():
        (tmp_path / name).mkdir()
        for index, image in enumerate(images):
            cv2.imwrite(str(tmp_path / name / f'{index:03d}.png'), image)
    film, *both = (str(tmp_path / name) for name in ('film', 'a', 'b'))
    size = ['--size', f'{HEIGHT}x{WIDTH}', '--interval', '3']
    monkeypatch.setattr('sys.argv', ['detect_cuts.py', film, *size])
    tool.main()
    assert f'{film}: 1 cuts at frames [5]' in capsys.readouterr().out
    monkeypatch.setattr('sys.argv', ['detect_cuts.py', *both, *size, '--joins', '1'])
    tool.main()
    out = capsys.readouterr().out
    assert 'first frame: 4 of 4 (100.00 %)' in out
    assert 'false key frames on uncut videos: 0 in 66 frames' in out
