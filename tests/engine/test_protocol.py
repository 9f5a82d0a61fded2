"""The switch of a config to the paper's protocol by offset."""

from argparse import ArgumentTypeError

import pytest
from mmengine.config import Config

from dff.engine.protocol import evaluate_by_offset, read_offsets


def make_config(evaluator, *, model='DFFVideoSegmentor', dataset='VideoPairDataset'):
    model = dict(type=model)
    if model['type'].startswith('DFF'):
        model['propagation'] = dict(type='FeaturePropagation')
    loader = dict(dataset=dict(type=dataset, test_mode=True))
    return Config(dict(model=model, test_dataloader=loader, test_evaluator=evaluator))


@pytest.mark.parametrize(
    'text, offsets',
    [
        ('3', [0, 1, 2]),
        ('0-4', [0, 1, 2, 3, 4]),
        ('0,2,4-6', [0, 2, 4, 5, 6]),
        ('5-5', [5]),
    ],
)
def test_offsets_are_read(text, offsets):
    assert read_offsets(text) == offsets


@pytest.mark.parametrize('text', ['', 'x', '0', '-1', '3-1', '1,1', '0-3,2'])
def test_what_are_no_offsets(text):
    with pytest.raises(ArgumentTypeError, match='offsets must be a number l'):
        read_offsets(text)


def test_segmentation_is_pooled_and_by_class(tmp_path):
    inner = dict(type='mmseg.IoUMetric', iou_metrics=['mIoU'])
    stream = [dict(type='VideoMetric', metric=inner), dict(type='TemporalConsistency')]
    cfg = make_config(stream)
    evaluate_by_offset(cfg, [0, 2], out_file='out.json', clamp=True)
    assert cfg.test_dataloader.dataset.test_offsets == [0, 2]
    assert cfg.test_dataloader.dataset.clamp_test_offsets is True
    (metric,) = cfg.test_evaluator
    assert metric.to_dict() == dict(
        type='PerOffsetMetric',
        metric=dict(type='SegIoUMetric', iou_metrics=['mIoU']),
        offsets=[0, 2],
        pooled=True,
        out_file='out.json',
    )


def test_detection_keeps_its_metrics():
    coco = dict(type='CocoMetric', metric='bbox')
    stream = [dict(type='VIDMetric'), dict(type='VideoMetric', metric=coco)]
    cfg = make_config(stream, model='DFFVideoDetector')
    evaluate_by_offset(cfg, [0, 1])
    assert [m.metric.to_dict() for m in cfg.test_evaluator] == [
        dict(type='VIDMetric'),
        coco,
    ]
    assert not any(m.pooled for m in cfg.test_evaluator)
    assert [m.out_file for m in cfg.test_evaluator] == [None, None]


def test_what_has_no_offsets():
    with pytest.raises(ValueError, match='key frames.*got EncoderDecoder'):
        evaluate_by_offset(make_config(dict(type='A'), model='EncoderDecoder'), [0])
    with pytest.raises(ValueError, match='VideoPairDataset.*got CityscapesDataset'):
        cfg = make_config(dict(type='A'), dataset='CityscapesDataset')
        evaluate_by_offset(cfg, [0])
