"""Use of trained models: frames in, data samples out."""

from .inferencer import VideoInferencer
from .one_by_one import OneByOne
from .video_source import Frame, open_frames

__all__ = ['OneByOne', 'Frame', 'VideoInferencer', 'open_frames']
