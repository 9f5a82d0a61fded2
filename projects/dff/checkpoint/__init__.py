"""Checkpoints: read safely, written atomically, adapted to the video model."""

from .frame_baseline import adapt_frame_state_dict, check_complete, match_keys
from .inert import Inert
from .loader import read_checkpoint, read_pickle, register, weights_of

__all__ = [
    'Inert',
    'adapt_frame_state_dict',
    'check_complete',
    'match_keys',
    'read_checkpoint',
    'read_pickle',
    'register',
    'weights_of',
]
