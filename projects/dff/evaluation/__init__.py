"""Metrics over the frames of videos; no model is imported here."""

from .copied_boxes_metric import CopiedBoxesMetric
from .per_offset_metric import PerOffsetMetric
from .vid_metric import VIDMetric
from .video_metric import VideoMetric

__all__ = ['CopiedBoxesMetric', 'PerOffsetMetric', 'VIDMetric', 'VideoMetric']
