"""Frames with boxes and detections for the tests of VIDMetric."""

import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData

from dff.evaluation.detection_result import DetectionResult


def make_sample(detections, instances, *, video_id=0, frame_id=0, **metainfo):
    """Build a prediction; detections are rows (label, score, x1, y1, x2, y2)."""
    rows = torch.as_tensor(detections, dtype=torch.float64).reshape(-1, 6)
    sample = DetDataSample(
        metainfo=dict(
            video_id=video_id,
            frame_id=frame_id,
            img_path=f'{video_id}/{frame_id}.jpg',
            instances=instances,
            **metainfo,
        )
    )
    sample.pred_instances = InstanceData(
        bboxes=rows[:, 2:], scores=rows[:, 1], labels=rows[:, 0].long()
    )
    return sample


def evaluate(samples, classes=('a', 'b'), *, size=None, **options):
    evaluator = Evaluator([dict(type='VIDMetric', **options)])
    evaluator.dataset_meta = dict(classes=classes)
    for start in range(0, len(samples), 3):
        evaluator.process(samples[start : start + 3])
    return evaluator.evaluate(len(samples) if size is None else size)


def box_at(x, y=0, side=100):
    """Give a square whose side is `side` with the last pixel counted."""
    return [x, y, x + side - 1, y + side - 1]


def gt(box, label=0, *, track, ignore=0):
    return dict(bbox=box, bbox_label=label, instance_id=track, ignore_flag=ignore)


def results(samples):
    return [DetectionResult.from_sample(sample.to_dict()) for sample in samples]
