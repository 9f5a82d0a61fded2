"""Convert public video data sets to CocoVID files or VIDEO/FRAME folders."""

from .camvid import arrange_camvid
from .cocovid import CocoVIDWriter
from .det_xml import convert_det
from .frame_range import parse_frames
from .imagenet_lists import read_frame_list, spread_frames
from .mot import convert_mot
from .synthetic import write_synthetic_set
from .vid_xml import convert_vid

__all__ = [
    'CocoVIDWriter',
    'arrange_camvid',
    'convert_det',
    'convert_mot',
    'convert_vid',
    'parse_frames',
    'read_frame_list',
    'spread_frames',
    'write_synthetic_set',
]
