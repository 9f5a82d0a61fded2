"""One copy of a stock metric an offset, and stock metrics on sparse videos."""

import json
import logging
import math

import mmdet.evaluation  # noqa: F401  (registers CocoMetric)
import mmseg.evaluation  # noqa: F401  (registers IoUMetric)
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import METRICS
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from dff.evaluation import PerOffsetMetric, VideoMetric

COCO = dict(type='mmdet.CocoMetric', metric='bbox')
VID = dict(type='VIDMetric')
BOXES = [[10.0, 10.0, 60.0, 80.0], [70.0, 5.0, 100.0, 60.0]]


@METRICS.register_module()
class CountMetric(BaseMetric):
    """Average a value over what the metric was given, with a result per value."""

    default_prefix = 'count'

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            self.results.extend(sample['values'])

    def compute_metrics(self, results):
        print('a metric that talks')
        return dict(num=float(len(results)), mean=float(np.mean(results)))


def make_sample(frame_id, *, offset=0, shift=0.0, video_id=0, **metainfo):
    """Predict both boxes of a frame, moved by `shift` pixels."""
    sample = DetDataSample(
        metainfo=dict(
            video_id=video_id,
            frame_id=frame_id,
            offset=offset,
            img_id=1000 * video_id + frame_id,
            img_path=f'{video_id}/{frame_id}.jpg',
            ori_shape=(100, 120),
            instances=[
                dict(bbox=box, bbox_label=label) for label, box in enumerate(BOXES)
            ],
            **metainfo,
        )
    )
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(BOXES) + shift,
        scores=torch.tensor([0.9, 0.8]) - 0.001 * frame_id,
        labels=torch.tensor([0, 1]),
    )
    return sample


def evaluate(metric, samples, size=None):
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = dict(classes=('a', 'b'))
    for start in range(0, len(samples), 4):
        evaluator.process(samples[start : start + 4])
    return evaluator.evaluate(len(samples) if size is None else size)


def drifting_protocol(num_frames=4, num_offsets=4):
    """Predict every frame at every offset, worse and worse: the paper's protocol."""
    return [
        make_sample(frame_id, offset=offset, shift=7.0 * offset)
        for frame_id in range(num_frames)
        for offset in range(num_offsets)
    ]


@pytest.mark.parametrize('metric', [COCO, VID])
def test_each_offset_equals_the_metric_on_its_frames(metric):
    samples = drifting_protocol()
    figures = evaluate(dict(type='PerOffsetMetric', metric=metric, offsets=4), samples)
    names, expected = None, []
    for offset in range(4):
        alone = evaluate(metric, [s for s in samples if s.offset == offset])
        names = set(alone)
        expected.append(alone)
        for name, value in alone.items():
            assert figures[f'offset_{offset}/{name}'] == value
    for name in names:
        mean = sum(alone[name] for alone in expected) / 4
        assert figures[f'mean/{name}'] == pytest.approx(mean, abs=1e-12)
    assert len(figures) == 5 * len(names)
    main = 'vid/AP50' if metric is VID else 'coco/bbox_mAP_50'
    curve = [figures[f'offset_{offset}/{main}'] for offset in range(4)]
    assert curve[0] == pytest.approx(1.0, abs=1e-3) and curve[3] < curve[0]


@pytest.mark.parametrize('metric', [COCO, VID])
def test_unlabelled_frames_reach_no_metric(metric):
    labelled = [make_sample(i) for i in (0, 10)]
    others = [
        make_sample(i, shift=50.0, is_labelled=False) for i in range(20) if i % 10
    ]
    samples = sorted(labelled + others, key=lambda sample: sample.frame_id)
    expected = evaluate(metric, labelled)
    assert evaluate(dict(type='VideoMetric', metric=metric), samples) == expected
    figures = evaluate(dict(type='PerOffsetMetric', metric=metric, offsets=1), samples)
    assert {k: v for k, v in figures.items() if k.startswith('offset_0')} == {
        f'offset_0/{name}': value for name, value in expected.items()
    }


def test_a_metric_can_be_used_again_with_other_frames():
    """Stock CocoMetric alone keeps the ground truth of its first evaluation."""
    metric = PerOffsetMetric(metric=COCO, offsets=1)
    first = evaluate(metric, [make_sample(0), make_sample(1)])
    second = evaluate(metric, [make_sample(i) for i in range(5)])
    assert first['mean/coco/bbox_mAP'] == pytest.approx(1.0, abs=1e-3)
    assert second['mean/coco/bbox_mAP'] == pytest.approx(1.0, abs=1e-3)


def test_segmentation_metric_by_offset():
    samples = []
    for offset in range(2):
        label = torch.zeros(1, 6, 8, dtype=torch.long)
        label[:, :, 4:] = 1
        predicted = label.roll(offset, dims=2)
        sample = SegDataSample(
            metainfo=dict(video_id='v', frame_id=3, offset=offset, img_path='3.png')
        )
        sample.gt_sem_seg = PixelData(data=label)
        sample.pred_sem_seg = PixelData(data=predicted)
        samples.append(sample)
    skipped = SegDataSample(
        metainfo=dict(video_id='v', frame_id=4, offset=0, is_labelled=False)
    )
    skipped.pred_sem_seg = PixelData(data=label)  # stock IoUMetric: KeyError
    metric = dict(
        type='PerOffsetMetric', metric=dict(type='mmseg.IoUMetric'), offsets=2
    )
    figures = evaluate(metric, [*samples, skipped])
    assert figures['offset_0/mIoU'] == 100.0
    assert figures['offset_1/mIoU'] == 60.0  # 18 of 30 pixels, for both classes


def test_results_are_not_cut_to_the_size_of_the_data_set():
    samples = [
        make_sample(i, offset=offset, values=[float(i), 100.0])
        for i in range(5)
        for offset in range(2)
    ]
    metric = dict(type='PerOffsetMetric', metric=dict(type='CountMetric'), offsets=2)
    figures = evaluate(metric, samples)  # two results each
    assert figures['offset_0/count/num'] == figures['offset_1/count/num'] == 10
    assert figures['mean/count/mean'] == (2.0 + 100.0) / 2


def test_padding_is_dropped_with_all_its_results():
    samples = [make_sample(i, values=[float(i)] * (i + 1)) for i in range(4)]
    metric = dict(type='VideoMetric', metric=dict(type='CountMetric'))
    expected = evaluate(metric, samples)
    assert expected['count/num'] == 10
    padded = [samples[0], samples[3], *samples[1:], samples[2]]
    assert evaluate(metric, padded, size=4) == expected


@pytest.fixture
def log():
    """Collect what the current logger of mmengine writes."""
    messages = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


def test_stock_output_is_quiet_and_one_table_is_printed(capsys, log):
    samples = [make_sample(0, offset=o, values=[1.0 + o]) for o in range(2)]
    metric = dict(type='PerOffsetMetric', metric=dict(type='CountMetric'), offsets=2)
    evaluate(metric, samples)
    assert 'a metric that talks' not in capsys.readouterr().out
    assert len(log) == 1
    rows = [line.split('|')[1:-1] for line in log[0].splitlines() if '|' in line]
    rows = [[cell.strip() for cell in row] for row in rows]
    assert rows == [
        ['offset', 'frames', 'count/num', 'count/mean'],
        ['0', '1', '1.0000', '1.0000'],
        ['1', '1', '1.0000', '2.0000'],
        ['mean', '', '1.0000', '1.5000'],
    ]


def test_json_of_the_figures(tmp_path):
    out = tmp_path / 'new' / 'offsets.json'
    samples = [make_sample(0, offset=o, values=[1.0 + o]) for o in range(2)]
    metric = PerOffsetMetric(
        metric=dict(type='CountMetric'), offsets=[0, 1, 5], out_file=str(out)
    )
    figures = evaluate(metric, samples)
    assert math.isnan(figures['mean/count/mean'])  # offset 5 never came
    content = json.loads(out.read_text())
    assert content['offsets']['1'] == {'count/num': 1.0, 'count/mean': 2.0}
    assert content['offsets']['5'] == {} and content['mean']['count/mean'] is None
    assert content['frames'] == {'0': 1, '1': 1, '5': 0}
    assert [path.name for path in out.parent.iterdir()] == ['offsets.json']


def test_a_stream_is_warned_of_different_frames(log):
    samples = [make_sample(i, offset=i % 2, values=[1.0]) for i in range(4)]
    metric = PerOffsetMetric(metric=dict(type='CountMetric'), offsets=2)
    evaluate(metric, samples)
    assert 'the offsets saw different frames' in log[-1]


def test_offset_is_required():
    sample = make_sample(0)
    del sample.offset
    with pytest.raises(ValueError, match=r'one of \[0, 1\], got None'):
        evaluate(PerOffsetMetric(metric=VID, offsets=2), [sample])
    with pytest.raises(ValueError, match=r'one of \[0, 1\], got 2'):
        evaluate(PerOffsetMetric(metric=VID, offsets=2), [make_sample(0, offset=2)])


def test_several_offsets_need_several_copies():
    with pytest.raises(ValueError, match='use PerOffsetMetric'):
        evaluate(VideoMetric(metric=COCO), drifting_protocol())


def test_img_id_must_tell_frames_apart():
    samples = [make_sample(0), make_sample(1)]
    samples[1].set_metainfo(dict(img_id=0))
    with pytest.raises(ValueError, match='img_id must be unique, got 0'):
        evaluate(VideoMetric(metric=COCO), samples)


def test_bad_arguments():
    with pytest.raises(ValueError, match='different integers'):
        PerOffsetMetric(metric=VID, offsets=[0, 0])
    with pytest.raises(ValueError, match='different integers'):
        PerOffsetMetric(metric=VID, offsets=0)
    with pytest.raises(TypeError, match='metric must be'):
        VideoMetric(metric='VIDMetric')
    for kind in ('VideoMetric', 'PerOffsetMetric'):
        unlabelled = make_sample(0, is_labelled=False)
        with pytest.raises(ValueError, match=f'{kind} needs labelled frames'):
            evaluate(dict(type=kind, metric=VID), [unlabelled])


@pytest.mark.parametrize('metric', [COCO, VID, dict(type='CountMetric')])
def test_two_ranks_with_padding_give_the_figures_of_one(on_two_ranks, metric):
    samples = drifting_protocol(num_frames=3, num_offsets=3)
    for i, sample in enumerate(samples):
        sample.set_metainfo(dict(values=[float(i)]))
    metric = dict(type='PerOffsetMetric', metric=metric, offsets=3)
    parts = [samples[:7], samples[5:]]  # 5 and 6 come twice
    found = on_two_ranks(lambda part: evaluate(metric, part, size=9), parts)
    assert found == [evaluate(metric, samples)] * 2
