"""No flow at all: features of the key frame are copied."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor

from .field import check_strides, flow_stride


@MODELS.register_module()
class ZeroFlow(BaseModule):
    """Return zero flow, S = 1: the baseline that copies the key frame's features.

    Args:
        strides: Stride of every feature level, in the order of the levels.
    """

    def __init__(self, strides: Sequence[int] = (16,)) -> None:
        super().__init__()
        self.strides = check_strides(strides)
        self.flow_stride = flow_stride(self.strides)

    def forward(
        self, cur: Tensor, key: Tensor, levels: Sequence[int] | None = None
    ) -> tuple[Tensor, None]:
        """Return zero flow (N, 2, ceil(H / s), ceil(W / s)) at ``flow_stride`` s."""
        n, _, height, width = cur.shape
        size = (-(-height // self.flow_stride), -(-width // self.flow_stride))
        return cur.new_zeros(n, 2, *size), None
