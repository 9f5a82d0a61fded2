"""Metrics over the frames of videos; no model is imported here."""

from .per_offset_metric import PerOffsetMetric
from .vid_metric import VIDMetric
from .video_metric import VideoMetric

__all__ = ['PerOffsetMetric', 'VIDMetric', 'VideoMetric']
