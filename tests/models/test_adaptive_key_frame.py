"""The adaptive scheduler spends its budget where the picture changes, and keeps it."""

import math
import random
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import MODELS
from split_models import paper_model
from split_models import wrap as wrap_at
from test_cut_detector import DIS, keys, run, scene, shot

from dff.models import AdaptiveKeyFrameScheduler, CutDetector, StreamState


class Video:
    """A stream whose frames leave a known residual: the sum of `steps` since the key.

    `noise` is added to every residual, as a camera does.
    """

    def __init__(self, scheduler, *, noise=0.0, seed=0, state=None):
        self.scheduler, self.noise = scheduler, noise
        self.chance, self.last = random.Random(seed), 0
        self.state = state or StreamState()
        self.state.key_frame_id, self.state.keys = 0, 1
        self.keys, self.residual = [0], 0.0

    def feed(self, steps, *, gap=0):
        for step in steps:
            self.last += 1 + gap
            self.residual += step * (1 + gap)
            value = self.residual + self.noise * self.chance.random()
            frame = SimpleNamespace(residual=torch.full((1, 1, 2, 3), value))
            if self.scheduler.is_key_frame(self.state, self.last, frame):
                self.make_key()
        return self.keys

    def make_key(self):
        self.keys.append(self.last)
        self.state.key_frame_id, self.residual = self.last, 0.0
        self.state.keys += 1


def intervals(keys):
    return [b - a for a, b in zip(keys, keys[1:], strict=False)]


def videos():
    """Growth of the residual per frame, of 900 frames."""
    chance = random.Random(0)
    yield 'even', [1.0] * 900
    yield 'noise', [chance.expovariate(1) for _ in range(900)]
    yield 'bursts', [0.3 + 5 * (i % 100 < 10) for i in range(900)]
    yield 'faster and faster', [math.exp(i / 200) / 2 for i in range(900)]
    yield 'slower and slower', [20 * math.exp(-i / 200) for i in range(900)]
    yield 'two scenes', [0.3] * 450 + [8.0] * 450
    yield 'steps', [0.5 * 4 ** (i // 40 % 3) for i in range(900)]


@pytest.mark.parametrize('interval', [3, 5, 10, 20])
@pytest.mark.parametrize('name,steps', list(videos()))
def test_the_mean_interval_holds_over_300_frames(name, steps, interval):
    found = Video(AdaptiveKeyFrameScheduler(interval), noise=0.3).feed(steps)
    for stop in (300, 600, 900):
        count = sum(key < stop for key in found)
        wanted = stop / interval
        # the number of key frames is a whole one
        assert abs(count - wanted) <= max(1, math.floor(0.05 * wanted)), (stop, count)
    assert max(intervals(found)) <= 3 * interval


def test_a_still_video_has_half_of_the_key_frames_or_less():
    still = Video(AdaptiveKeyFrameScheduler(10), noise=0.05).feed([0.0] * 300)
    assert still == list(range(0, 301, 30))
    still = Video(AdaptiveKeyFrameScheduler(10, 20), noise=0.05).feed([0.0] * 300)
    assert still == list(range(0, 301, 20))


def test_intervals_are_short_where_much_changes():
    steps = [4.0 if i // 50 % 2 else 1.0 for i in range(1000)]
    found = Video(AdaptiveKeyFrameScheduler(5)).feed(steps)
    fast, slow = [], []
    for key, length in zip(found, intervals(found), strict=False):
        if key > 100 and key % 50 < 40:  # inside of one part
            (fast if key // 50 % 2 else slow).append(length)
    # a quarter of the change: sqrt(4) times the interval, where the budget allows it
    assert sum(slow) / len(slow) > 1.25 * sum(fast) / len(fast)


def test_a_burst_gets_the_key_frames_that_rest_has_saved():
    steps = [1.0] * 40 + [0.0] * 30 + [6.0] * 12
    found = Video(AdaptiveKeyFrameScheduler(10)).feed(steps)
    burst = [key for key in found if 70 < key <= 82]
    assert burst[0] <= 74 and len(burst) == 3  # a fixed schedule: one
    assert not [key for key in found if 50 < key <= 70]


def test_dropped_frames_count_as_frames():
    whole = Video(AdaptiveKeyFrameScheduler(10)).feed([1.0] * 300)
    gaps = Video(AdaptiveKeyFrameScheduler(10)).feed([1.0] * 150, gap=1)
    assert abs(len(whole) - len(gaps)) <= 1
    assert max(intervals(gaps)) <= 13


def test_a_cut_is_paid_for_and_starts_anew():
    video = Video(AdaptiveKeyFrameScheduler(10))
    video.feed([1.0] * 203)
    video.make_key()  # by a cut detector
    at, before = video.last, len(video.keys)
    found = video.feed([50.0] * 97)  # another scene, with another scale
    assert found[before] == at + 10  # its first interval is the mean one
    assert abs(len([key for key in found if key < 300]) - 30) <= 2


def test_streams_of_one_scheduler_do_not_meet_and_begin_apart():
    scheduler = AdaptiveKeyFrameScheduler(10)
    calm, wild = Video(scheduler), Video(scheduler, state=StreamState(phase=3))
    for _ in range(20):
        calm.feed([1.0] * 3)
        wild.feed([9.0, 0.2, 3.0])
    alone = Video(AdaptiveKeyFrameScheduler(10)).feed([1.0] * 60)
    assert calm.keys == alone
    assert alone[1] == 10 and wild.keys[1] == 7


def test_an_interval_of_one_makes_every_frame_a_key_frame():
    assert Video(AdaptiveKeyFrameScheduler(1)).feed([0.0] * 5) == [0, 1, 2, 3, 4, 5]


def test_in_a_model_a_flow_per_frame_and_cuts_beside_it():
    task = 'segmentor'
    model = wrap_at(task, paper_model(task), split=1, estimator=DIS)
    model.key_frame_scheduler = MODELS.build(
        dict(type='AdaptiveKeyFrameScheduler', interval=4, max_interval=8)
    )
    model.cut_detector = CutDetector()
    rest = [scene(0)[:, :96, :128].to(torch.uint8)] * 17
    assert keys(run(model, task, rest)) == [0, 8, 16]
    found = keys(run(model, task, shot(0, 12, step=(6, 8)) + shot(1, 6), video=1))
    assert 4 in found and 12 in found
    model = wrap_at(task, paper_model(task), split=1, flow=(-8.0, -6.0))
    model.key_frame_scheduler = AdaptiveKeyFrameScheduler(4)
    run(model, task, shot(0, 9, step=(6, 8)))
    assert model.propagation.flow_estimator.calls == 8


def test_bad_options():
    scheduler = AdaptiveKeyFrameScheduler(10)
    assert scheduler.max_interval == 30 and 'interval=10' in repr(scheduler)
    with pytest.raises(TypeError, match='interval must be an integer, got None'):
        AdaptiveKeyFrameScheduler(None)
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        AdaptiveKeyFrameScheduler(0)
    with pytest.raises(ValueError, match='max_interval must be at least 10, got 9'):
        AdaptiveKeyFrameScheduler(10, 9)
