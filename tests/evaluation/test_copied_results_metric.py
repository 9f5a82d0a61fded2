"""Copied boxes: which prediction is scored on which frame."""

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

import dff  # noqa: F401
from dff.evaluation import CopiedResultsMetric


@METRICS.register_module()
class SeenPairs(BaseMetric):
    """Report the sum over frames of (frame id - predicted frame id)."""

    default_prefix = 'seen'

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            self.results.append((sample['frame_id'], sample['pred_instances']['made']))

    def compute_metrics(self, results):
        return dict(
            lag=sum(frame - made for frame, made in results) / len(results),
            first=min(frame for frame, _ in results),
            count=len(results),
        )


def run(frames, offsets=3):
    metric = CopiedResultsMetric(dict(type='SeenPairs'), offsets)
    metric.dataset_meta = {}
    for video, frame in frames:
        metric.process(
            None,
            [
                dict(
                    video_id=video,
                    frame_id=frame,
                    img_path=f'{video}/{frame}',
                    pred_instances=dict(made=frame, boxes=torch.rand(2, 4)),
                )
            ],
        )
    return metric.evaluate(len(frames))


def test_frame_i_is_scored_with_the_boxes_of_i_minus_o():
    figures = run([('a', i) for i in range(3, 10)])
    for offset in range(3):
        assert figures[f'offset_{offset}/seen/lag'] == offset
        assert figures[f'offset_{offset}/seen/first'] == 5  # 3 and 4 left out of all
        assert figures[f'offset_{offset}/seen/count'] == 5


@pytest.mark.parametrize(
    'frames, count',
    [
        ([('a', i) for i in range(4)] + [('b', i) for i in range(4)], 4),
        ([('a', i) for i in (0, 1, 2, 3, 6, 7, 8)], 3),  # a gap starts over
    ],
)
def test_boxes_are_never_copied_across_a_break(frames, count):
    figures = run(frames)
    assert figures['offset_2/seen/lag'] == 2
    assert figures['offset_2/seen/count'] == count
