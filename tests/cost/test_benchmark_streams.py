"""Timing of several streams, with a clock that counts work."""

import pytest
from split_models import SIZE, paper_model, wrap
from wrapped_models import frame

from dff.cost.benchmark_streams import report_streams, time_delays, time_streams


@pytest.fixture
def work():
    """Build a small model and a clock: 10 for an N_feat call, 1 for one of F."""
    model = wrap('segmentor', paper_model('segmentor'), split=1, flow=(16.0, 0.0))
    spent = [0]
    parts = {model.segmentor.backbone: 10, model.propagation.flow_estimator: 1}
    for part, cost in parts.items():

        def pay(*_, cost=cost):
            spent[0] += cost

        part.register_forward_hook(pay)
    return model, lambda: spent[0]


FRAMES = [frame(seed, size=SIZE) for seed in range(4)]


def test_batches_need_fewer_calls(work):
    model, clock = work
    rows = time_streams(model, FRAMES, [1, 3], ticks=3, clock=clock)
    assert [row.streams for row in rows] == [1, 3]
    # an interval of 3 frames: one N_feat and two F per stream
    assert rows[0].alone == rows[0].batched == 3 / 12
    assert rows[1].alone == 9 / 36
    # spread key frames: every tick has one N_feat and, for the other two, one F
    assert rows[1].batched == 9 / 33


def test_a_report_has_the_tables_that_were_asked_for(work):
    model, _ = work
    text = report_streams(model, FRAMES, [2], [2], rounds=1, interval=3)
    assert 'Frames per second' in text and 'in background, lag 2' in text
    text = report_streams(model, FRAMES, None, [1], rounds=1, interval=3)
    assert 'Frames per second' not in text


def test_key_frames_at_once_are_the_slow_ones(work):
    model, clock = work
    at_once, _ = time_delays(model, FRAMES, [2], count=10, rounds=1, clock=clock)
    assert (at_once.lag, at_once.p50, at_once.worst) == (None, 1, 10)
