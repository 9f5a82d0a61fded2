"""Starting runs, and hooks."""

from .complete_checkpoint_hook import CompleteCheckpointHook
from .video_visualization_hook import VideoVisualizationHook

__all__ = ['CompleteCheckpointHook', 'VideoVisualizationHook']
