"""Video data: frame pairs for training, streams for test."""

from .coco_vid import CocoVIDDataset
from .video_pair import VideoPairDataset
from .video_sampler import VideoSampler

__all__ = ['CocoVIDDataset', 'VideoPairDataset', 'VideoSampler']
