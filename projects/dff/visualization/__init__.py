"""Draw results on video frames, colour flow, and write images and videos.

Images are BGR uint8 (H, W, 3), as OpenCV reads and writes them.
"""

from .caption import draw_caption, draw_legend, side_by_side
from .flow import flow_at_image_size, flow_to_color, overlay_flow
from .visualizer import VideoVisualizer
from .writer import VideoWriter

__all__ = [
    'VideoVisualizer',
    'VideoWriter',
    'draw_caption',
    'draw_legend',
    'flow_at_image_size',
    'flow_to_color',
    'overlay_flow',
    'side_by_side',
]
