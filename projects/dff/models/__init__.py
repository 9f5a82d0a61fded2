"""Models: flow networks, propagation, and the video wrappers."""

from .adaptive_key_frame import AdaptiveKeyFrameScheduler
from .current_frame import CurrentFrame
from .cut_detector import CutDetector
from .dff_video_detector import DFFVideoDetector
from .dff_video_segmentor import DFFVideoSegmentor
from .key_frame import FixedKeyFrameScheduler
from .propagation import FeaturePropagation
from .rfcn.boxes import RFCNAnchorGenerator, RFCNBBoxCoder
from .rfcn.detector import RFCN
from .rfcn.head import RFCNHead
from .rfcn.neck import DilatedNeck
from .rfcn.rpn import RFCNRPNHead
from .seam.feature_seam import FeatureSeam
from .stream_state import StreamState
from .stream_store import StreamStore
from .video_model import DFFVideoModel

__all__ = [
    'AdaptiveKeyFrameScheduler',
    'CurrentFrame',
    'CutDetector',
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
    'StreamStore',
]
