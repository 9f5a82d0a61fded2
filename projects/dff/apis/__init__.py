"""Run trained models on videos, images and cameras."""

from dff.video import Frame, open_frames

from .inferencer import VideoInferencer
from .one_by_one import OneByOne
from .stream import Stream

__all__ = ['Frame', 'OneByOne', 'Stream', 'VideoInferencer', 'open_frames']
