"""Starting runs, and hooks."""

from .channels_last_hook import ChannelsLastHook
from .complete_checkpoint_hook import CompleteCheckpointHook
from .video_visualization_hook import VideoVisualizationHook

__all__ = ['ChannelsLastHook', 'CompleteCheckpointHook', 'VideoVisualizationHook']
