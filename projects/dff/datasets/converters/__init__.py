"""Turn public video annotations into CocoVID files, or VIDEO/FRAME folders."""

from .camvid import arrange_camvid
from .cocovid import CocoVIDWriter
from .frame_range import parse_frames
from .mot import convert_mot
from .synthetic import write_synthetic_set
from .vid_xml import VID_CLASSES, VID_WNIDS, convert_vid

__all__ = [
    'CocoVIDWriter',
    'VID_CLASSES',
    'VID_WNIDS',
    'arrange_camvid',
    'convert_mot',
    'convert_vid',
    'parse_frames',
    'write_synthetic_set',
]
