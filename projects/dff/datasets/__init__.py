"""Video data: frame pairs for training, streams for test."""

from .camvid import CamVidDataset
from .cityscapes_sequence import CityscapesSequenceDataset
from .coco_vid import CocoVIDDataset
from .file_pattern import FilePattern
from .flow.chained_flow import ChainedFlowDataset
from .flow.flying_chairs import FlyingChairs
from .flow.geometric import FlowAugmentation
from .flow.pairs import FlowPairDataset
from .flow.synthetic_flow import SyntheticMotion
from .legacy_transforms import LastPixelFlip, ShortSideResize
from .ratio_sampler import RatioSampler
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
