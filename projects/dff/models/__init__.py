"""Models: flow networks, propagation, and the video wrappers."""

from .dff_video_detector import DFFVideoDetector
from .key_frame import FixedKeyFrameScheduler, StreamState
from .propagation import FeaturePropagation
from .video_model import DFFVideoModel, FeatureSeam

__all__ = [
    'DFFVideoDetector',
    'DFFVideoModel',
    'FeaturePropagation',
    'FeatureSeam',
    'FixedKeyFrameScheduler',
    'StreamState',
]
