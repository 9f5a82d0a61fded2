"""Use of trained models: frames in, data samples out."""

from .frames import Frame, open_frames
from .inferencer import VideoInferencer

__all__ = ['Frame', 'VideoInferencer', 'open_frames']
