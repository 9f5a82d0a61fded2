"""Read frames one at a time from videos, image files, cameras or arrays."""

from .frame import Damage, Frame
from .open_frames import open_frames
from .source import FrameSource

__all__ = ['Damage', 'Frame', 'FrameSource', 'open_frames']
