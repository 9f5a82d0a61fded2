"""Turn public video annotations into CocoVID json files."""

from .cocovid import CocoVIDWriter
from .mot import convert_mot
from .synthetic import write_synthetic_set
from .vid_xml import VID_CLASSES, VID_WNIDS, convert_vid

__all__ = [
    'CocoVIDWriter',
    'VID_CLASSES',
    'VID_WNIDS',
    'convert_mot',
    'convert_vid',
    'write_synthetic_set',
]
