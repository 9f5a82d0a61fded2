"""Use of trained models: frames in, data samples out."""

from .frames import Frame, open_frames
from .inferencer import VideoInferencer
from .one_by_one import OneByOne

__all__ = ['OneByOne', 'Frame', 'VideoInferencer', 'open_frames']
