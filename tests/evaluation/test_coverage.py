"""Metrics see each frame of the data set, and each video in one piece."""

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from vid_samples import evaluate, make_sample

from dff.evaluation.coverage import CoverageCheck
from dff.evaluation.gather_results import RESULTS_PER_ROUND, gather_on_main

BOX = [[0, 0.9, 0, 0, 50, 50]]
TRUTH = [dict(bbox=[0, 0, 50, 50], bbox_label=0)]


def video(frames, **metainfo):
    return [make_sample(BOX, TRUTH, frame_id=frame, **metainfo) for frame in frames]


@pytest.mark.parametrize('size', [4, 6])
@pytest.mark.parametrize(
    'metric',
    [
        dict(type='VIDMetric'),
        dict(type='VideoMetric', metric=dict(type='VIDMetric')),
        dict(type='PerOffsetMetric', metric=dict(type='VIDMetric'), offsets=1),
    ],
)
def test_fewer_or_more_results_than_frames_are_an_error(metric, size):
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = dict(classes=('a', 'b'))
    for _ in range(2):  # it starts over after an error
        evaluator.process(video(range(5), offset=0))
        message = rf'{metric["type"]} must see each of the {size} items.*got 5'
        with pytest.raises(ValueError, match=message):
            evaluator.evaluate(size)
    evaluator.process(video(range(5), offset=0))
    assert evaluator.evaluate(5)


def test_unlabelled_frames_count_as_seen():
    samples = [*video([0]), *video([1, 2], is_labelled=False)]
    assert evaluate(samples)['vid/AP50'] == 1.0


def test_a_rank_that_lost_its_frames_is_told_on_all(on_two_ranks):
    def message(part):
        with pytest.raises(ValueError, match='must see each of the 9 items') as error:
            evaluate(part, size=9)
        return str(error.value)

    samples = video(range(9))
    first, second = on_two_ranks(message, [samples[:4], samples[5:]])
    assert first == second and 'got 8' in first


def test_videos_in_pieces_are_refused_where_order_matters(on_two_ranks):
    def check(part):
        coverage = CoverageCheck()
        for place in part:
            coverage.add(dict(video_id=place[0], frame_id=place[1]))
        try:
            coverage.check(9, 'Metric', is_order_needed=True)
        except ValueError as error:
            return str(error)

    a, b = [('a', i) for i in range(5)], [('b', i) for i in (0, 1, 3, 4)]  # a gap
    assert on_two_ranks(check, [a, b]) == [None, None]
    assert (
        on_two_ranks(check, [a[:3] + b, a[3:]])
        == [
            "Metric needs whole videos in order, but 'a' was cut before frame 3: use "
            'VideoSampler without key_interval'
        ]
        * 2
    )
    assert "'b' was cut before frame 4" in on_two_ranks(check, [a + b[:3], b[3:]])[0]


@pytest.mark.parametrize('sizes', [(0, 3), (2500, 1001), (RESULTS_PER_ROUND, 0)])
def test_results_move_to_the_main_rank(on_two_ranks, sizes):
    def move(part):
        results = [np.full(2, index) for index in part]
        merged = gather_on_main(results)
        assert results == []
        return sorted(int(item[0]) for item in merged)

    parts = [range(sizes[0]), range(5000, 5000 + sizes[1])]
    found = on_two_ranks(move, parts)
    assert sorted(found, key=len) == [[], [*parts[0], *parts[1]]]
