"""Video data: frame pairs for training, streams for test."""

from .chained_flow import ChainedFlowDataset
from .coco_vid import CocoVIDDataset
from .video_pair import VideoPairDataset
from .video_sampler import VideoSampler

__all__ = ['ChainedFlowDataset', 'CocoVIDDataset', 'VideoPairDataset', 'VideoSampler']
