"""R-FCN's region proposal branch: two sibling 1x1 convolutions (paper Sec. 4)."""

from typing import Any

from mmdet.models.dense_heads import RPNHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .rfcn_branches import full_precision, split_branches

FIRST_PROPOSALS = 4  # candidates a proposal wanted that NMS is first run on


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

    def _bbox_post_process(
        self, results: InstanceData, cfg: ConfigDict, *args: Any, **kwargs: Any
    ) -> InstanceData:
        """Suppress proposals, looking at no more of them than needed.

        Whether greedy NMS keeps a box depends on better boxes only. So the best of
        all boxes are enough as soon as ``max_per_img`` of them survive; the result
        is that of the stock method, which works through all ``nms_pre`` (6000).
        """
        limit = cfg.max_per_img
        count = FIRST_PROPOSALS * limit
        if cfg.nms.get('type', 'nms') == 'nms' and count < len(results):
            results = results[results.scores.argsort(descending=True, stable=True)]
            while count < len(results):
                kept = super()._bbox_post_process(results[:count], cfg, *args, **kwargs)
                if len(kept) == limit:
                    return kept
                count *= 2
        return super()._bbox_post_process(results, cfg, *args, **kwargs)
