"""R-FCN's region proposal branch: two sibling 1x1 convolutions (paper Sec. 4)."""

from mmdet.models.dense_heads import RPNHead
from mmdet.registry import MODELS
from torch import Tensor, nn

from .rfcn_neck import full_precision, split_branches


@MODELS.register_module()
class RFCNRPNHead(RPNHead):
    """Stock RPN that reads the first half of the features, without a 3x3 layer.

    ``in_channels`` is the width of that half. ``rpn_cls`` holds, anchor by anchor,
    object then background where the classification loss is a softmax.
    """

    def _init_layers(self) -> None:
        self.rpn_cls = nn.Conv2d(
            self.in_channels, self.num_base_priors * self.cls_out_channels, 1
        )
        self.rpn_reg = nn.Conv2d(
            self.in_channels, self.num_base_priors * self.bbox_coder.encode_size, 1
        )

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return class and box maps of features (N, 2 * in_channels, h, w)."""
        rpn_half, _ = split_branches(x)
        return (
            full_precision(self.rpn_cls(rpn_half)),
            full_precision(self.rpn_reg(rpn_half)),
        )
