"""Metrics over the frames of videos; this package imports no model."""

from .copied_results_metric import CopiedResultsMetric
from .end_point_error import EndPointError
from .per_offset_metric import PerOffsetMetric
from .seg_iou_metric import SegIoUMetric
from .temporal_consistency import TemporalConsistency
from .vid_metric import VIDMetric
from .video_metric import VideoMetric

__all__ = [
    'CopiedResultsMetric',
    'EndPointError',
    'PerOffsetMetric',
    'SegIoUMetric',
    'TemporalConsistency',
    'VIDMetric',
    'VideoMetric',
]
