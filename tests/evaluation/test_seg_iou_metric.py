"""mIoU of frames, by class and by offset, against loops over pixels."""

import json

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from dff.evaluation import CopiedResultsMetric, PerOffsetMetric, SegIoUMetric

CLASSES = ('road', 'car', 'tree', 'never')
META = dict(classes=CLASSES)
SIZE = (6, 9)


def make_sample(seed, *, frame_id=0, offset=0, is_labelled=True, video_id=0):
    """Predict labels 0-2 at random; the truth holds them and void."""
    rng = np.random.default_rng(seed)
    sample = SegDataSample(
        metainfo=dict(
            video_id=video_id,
            frame_id=frame_id,
            offset=offset,
            is_labelled=is_labelled,
            img_path=f'{video_id}/{frame_id}.jpg',
        )
    )
    pred = torch.from_numpy(rng.integers(0, 3, (1, *SIZE)))
    sample.pred_sem_seg = PixelData(data=pred)
    if is_labelled:
        truth = rng.choice([0, 1, 2, 255], (1, *SIZE), p=[0.4, 0.3, 0.2, 0.1])
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(truth))
    return sample.to_dict()


def count(samples):
    """IoU of each class in percent, pixel by pixel."""
    ious = {}
    for label, name in enumerate(CLASSES):
        both = either = 0
        for sample in samples:
            pred = sample['pred_sem_seg']['data'].flatten().tolist()
            truth = sample['gt_sem_seg']['data'].flatten().tolist()
            for p, t in zip(pred, truth, strict=True):
                if t != 255:
                    both += p == label and t == label
                    either += p == label or t == label
        ious[name] = 100 * both / either if either else float('nan')
    return ious


def mean(ious):
    known = [value for value in ious.values() if value == value]
    return sum(known) / len(known)


def test_each_class_and_their_mean():
    samples = [make_sample(seed, frame_id=seed) for seed in range(5)]
    metric = SegIoUMetric()
    metric.dataset_meta = META
    metric.process(None, samples[:2])
    metric.process(None, samples[2:])
    figures = metric.evaluate(5)
    expected = count(samples)
    for name, value in expected.items():
        assert figures[f'IoU.{name}'] == pytest.approx(value, nan_ok=True)
    assert figures['mIoU'] == pytest.approx(mean(expected), abs=1e-9)
    assert np.isnan(figures['IoU.never'])


def test_many_pixels_are_counted_exactly():
    """Single precision cannot add one pixel to 2^24."""
    sample = make_sample(0)
    for name in ('pred_sem_seg', 'gt_sem_seg'):
        sample[name]['data'] = torch.zeros(1, 1, 1, dtype=torch.long)
    metric = SegIoUMetric()
    metric.dataset_meta = META
    metric.process(None, [sample])
    wrong = dict(sample, pred_sem_seg=dict(data=torch.ones(1, 1, 1, dtype=torch.long)))
    metric.process(None, [wrong])
    full = tuple(area * 2.0**24 for area in metric.results[0])
    metric.results = [full, metric.results[0], metric.results[1]]
    expected = 100 * (2**24 + 1) / (2**24 + 2)
    assert metric.evaluate(3)['IoU.road'] == pytest.approx(expected, rel=1e-12)


def test_all_void_is_nan_and_changes_nothing_else():
    void = make_sample(1)
    void['gt_sem_seg']['data'][:] = 255
    metric = SegIoUMetric()
    metric.dataset_meta = META
    metric.process(None, [void])
    assert np.isnan(metric.evaluate(1)['mIoU'])
    sample = make_sample(2)
    metric.process(None, [void, sample])
    assert metric.evaluate(2)['mIoU'] == pytest.approx(mean(count([sample])))


def test_sizes_must_agree():
    sample = make_sample(0)
    sample['pred_sem_seg']['data'] = torch.zeros(1, 6, 8, dtype=torch.long)
    metric = SegIoUMetric()
    metric.dataset_meta = META
    with pytest.raises(ValueError, match=r'0/0.jpg must have one size.*\(6, 8\)'):
        metric.process(None, [sample])


def by_offset(tmp_path, **options):
    metric = PerOffsetMetric(
        dict(type='SegIoUMetric'),
        [0, 2, 3],
        pooled=True,
        out_file=str(tmp_path / 'out.json'),
        **options,
    )
    metric.dataset_meta = dict(META, num_left_out=7)
    return metric


def test_one_matrix_an_offset_and_one_over_all(tmp_path, capsys):
    samples = [
        make_sample(10 * offset + frame, frame_id=frame, offset=offset)
        for offset in (0, 2, 3)
        for frame in range(4, 7)
    ]
    unlabelled = make_sample(99, frame_id=9, offset=2, is_labelled=False)
    metric = by_offset(tmp_path)
    metric.process(None, [*samples, unlabelled])
    figures = metric.evaluate(10)
    saved = json.loads((tmp_path / 'out.json').read_text())
    for index, offset in enumerate((0, 2, 3)):
        expected = count(samples[3 * index : 3 * index + 3])
        assert figures[f'offset_{offset}/mIoU'] == pytest.approx(mean(expected))
        found = saved['offsets'][str(offset)]
        assert found['IoU.car'] == pytest.approx(expected['car'])
    pooled = count(samples)
    assert figures['pooled/mIoU'] == pytest.approx(mean(pooled))
    assert saved['pooled']['IoU.tree'] == pytest.approx(pooled['tree'])
    means = [figures[f'offset_{o}/mIoU'] for o in (0, 2, 3)]
    assert figures['mean/mIoU'] == pytest.approx(sum(means) / 3)
    assert saved['num_left_out'] == 7 and saved['frames'] == {'0': 3, '2': 3, '3': 3}


def test_a_repeated_frame_is_pooled_once(tmp_path):
    samples = [make_sample(o, frame_id=5, offset=o) for o in (0, 2, 3)]
    metric = by_offset(tmp_path)
    metric.process(None, [*samples, samples[1]])
    assert metric.evaluate(3)['pooled/mIoU'] == pytest.approx(mean(count(samples)))


def test_copied_labels():
    """Frame i is scored with the labels of i - o, also of frames without truth."""
    samples = [
        make_sample(i, frame_id=i, is_labelled=i in (4, 5), offset=0) for i in range(6)
    ]
    metric = CopiedResultsMetric(dict(type='SegIoUMetric'), [0, 2, 4], pooled=True)
    metric.dataset_meta = META
    metric.process(None, samples)
    figures = metric.evaluate(6)
    everything = []
    for offset in (0, 2, 4):
        copied = [
            dict(samples[i], pred_sem_seg=samples[i - offset]['pred_sem_seg'])
            for i in (4, 5)
        ]
        everything += copied
        assert figures[f'offset_{offset}/mIoU'] == pytest.approx(mean(count(copied)))
    assert figures['pooled/mIoU'] == pytest.approx(mean(count(everything)))


def test_nothing_to_copy_is_an_error():
    metric = CopiedResultsMetric(dict(type='SegIoUMetric'), 2)
    metric.dataset_meta = META
    sample = make_sample(0)
    del sample['pred_sem_seg']
    with pytest.raises(ValueError, match='must hold one of .*pred_sem_seg'):
        metric.process(None, [sample])


def test_two_ranks_give_the_figures_of_one(on_two_ranks, tmp_path):
    samples = [
        make_sample(10 * offset + frame, frame_id=frame, offset=offset)
        for offset in (0, 2, 3)
        for frame in range(4, 7)
    ]

    def evaluate(part):
        metric = PerOffsetMetric(dict(type='SegIoUMetric'), [0, 2, 3], pooled=True)
        metric.dataset_meta = META
        metric.process(None, part)
        return {n: v for n, v in metric.evaluate(9).items() if v == v}  # nan != nan

    whole = evaluate(samples)
    assert len(whole) == 5 * 6  # three classes and three means, without `never`
    for found in on_two_ranks(evaluate, [samples[:5], samples[4:]]):
        assert found == pytest.approx(whole, rel=1e-12)
