"""Flow networks F: from a current and a key frame to flow and scale fields."""

from .classical import ClassicalFlow
from .field import check_strides, flow_stride, resize_field, resize_flow
from .flownet import FlowNetS
from .flownet_inception import FlowNetInception
from .pretrainer import FlowPretrainer
from .zero import ZeroFlow

__all__ = [
    'ClassicalFlow',
    'FlowNetInception',
    'FlowNetS',
    'FlowPretrainer',
    'ZeroFlow',
    'check_strides',
    'flow_stride',
    'resize_field',
    'resize_flow',
]
