"""Run trained models on videos, images and cameras."""

from .inferencer import VideoInferencer
from .one_by_one import OneByOne
from .video_source import Frame, open_frames

__all__ = ['OneByOne', 'Frame', 'VideoInferencer', 'open_frames']
