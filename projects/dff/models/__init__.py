"""Models: flow networks, propagation, and the video wrappers."""

from .dff_video_detector import DFFVideoDetector
from .dff_video_segmentor import DFFVideoSegmentor
from .dilated_neck import DilatedNeck
from .feature_seam import FeatureSeam
from .key_frame import FixedKeyFrameScheduler, StreamState
from .propagation import FeaturePropagation
from .rfcn import RFCN
from .rfcn_boxes import RFCNAnchorGenerator, RFCNBBoxCoder
from .rfcn_head import RFCNHead
from .rfcn_rpn import RFCNRPNHead
from .video_model import DFFVideoModel

__all__ = [
    'DFFVideoDetector',
    'DFFVideoModel',
    'DFFVideoSegmentor',
    'FeaturePropagation',
    'FeatureSeam',
    'FixedKeyFrameScheduler',
    'RFCN',
    'RFCNAnchorGenerator',
    'RFCNBBoxCoder',
    'RFCNHead',
    'DilatedNeck',
    'RFCNRPNHead',
    'StreamState',
]
