"""Run trained models on videos, images and cameras."""

from .inferencer import VideoInferencer
from .one_by_one import OneByOne
from .stream import Stream
from .video_source import Frame, open_frames

__all__ = ['Frame', 'OneByOne', 'Stream', 'VideoInferencer', 'open_frames']
