"""Video data: frame pairs for training, streams for test."""

from .camvid import CamVidDataset
from .chained_flow import ChainedFlowDataset
from .cityscapes_sequence import CityscapesSequenceDataset
from .coco_vid import CocoVIDDataset
from .file_pattern import FilePattern
from .flow_augmentation import FlowAugmentation
from .flow_pairs import FlowPairDataset
from .flying_chairs import FlyingChairs
from .legacy_transforms import LastPixelFlip, ShortSideResize
from .ratio_sampler import RatioSampler
from .synthetic_motion import SyntheticMotion
from .video_pair import VideoPairDataset
from .video_sampler import VideoSampler
from .video_seg import VideoSegDataset

__all__ = [
    'CamVidDataset',
    'ChainedFlowDataset',
    'CityscapesSequenceDataset',
    'CocoVIDDataset',
    'FilePattern',
    'FlowAugmentation',
    'FlowPairDataset',
    'FlyingChairs',
    'LastPixelFlip',
    'RatioSampler',
    'ShortSideResize',
    'SyntheticMotion',
    'VideoPairDataset',
    'VideoSampler',
    'VideoSegDataset',
]
