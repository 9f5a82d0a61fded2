"""Hooks, and what the training and test tools share."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .channels_last_hook import ChannelsLastHook
from .compile_flow_hook import CompileFlowHook, compile_flow
from .complete_checkpoint_hook import CompleteCheckpointHook
from .key_frame_hook import KeyFrameHook
from .keyed_random_hook import KeyedRandomHook
from .video_visualization_hook import VideoVisualizationHook

__all__ = [
    'AtomicCheckpointHook',
    'ChannelsLastHook',
    'CompileFlowHook',
    'CompleteCheckpointHook',
    'KeyFrameHook',
    'KeyedRandomHook',
    'VideoVisualizationHook',
    'compile_flow',
]
