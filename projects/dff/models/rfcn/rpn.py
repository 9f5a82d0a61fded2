"""R-FCN's region proposal branch: two sibling 1x1 convolutions (paper Sec. 4).

Shape letters: A anchors a cell, K class channels an anchor, h, w feature size.
"""

import copy
from typing import Any

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .branches import full_precision, split_branches
from .suppression import best_first, suppress_until_enough

MANY_ANCHORS = 8  # so many times the candidates, decoding all takes longer than sorting


@MODELS.register_module()
class RFCNRPNHead(RPNHead):
    """Stock RPN that reads the first half of the features, without a 3x3 layer.

    ``in_channels`` is the width of that half. ``rpn_cls`` holds, anchor by anchor,
    object then background where the classification loss is a softmax.

    ``test_cfg`` is the stock one (proposals in training, too), with the release's
    meaning of ``min_bbox_size``: the smallest side of a box that holds its last
    pixel, in pixels of the original image; smaller boxes are no candidates.
    ``whole_cells_only`` leaves out cells that the image does not fill, as the
    release does with proposals, though it trains their anchors.
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

    def _predict_by_feat_single(
        self,
        cls_score_list: list[Tensor],
        bbox_pred_list: list[Tensor],
        score_factor_list: list[Tensor],
        mlvl_priors: list[Tensor],
        img_meta: dict,
        cfg: ConfigDict | None,
        *args: Any,
        **kwargs: Any,
    ) -> InstanceData:
        """Decode the anchors that may become proposals; ``_bbox_post_process`` chooses.

        The best are looked for among the boxes that are large enough, which only
        their decoding tells; where any size will do, the best anchors are enough,
        and finding them takes less time if they are few.
        """
        cfg = copy.deepcopy(self.test_cfg if cfg is None else cfg)
        cfg.num_candidates, cfg.nms_pre = cfg.get('nms_pre', -1), -1
        levels = list(zip(cls_score_list, bbox_pred_list, mlvl_priors, strict=True))
        if cfg.get('whole_cells_only', False):
            strides, shape = self.prior_generator.strides, img_meta['img_shape']
            levels = [
                whole_cells(*level, stride=stride, img_shape=shape)
                for level, stride in zip(levels, strides, strict=True)
            ]
        is_any_size, count = cfg.get('min_bbox_size', -1) <= 0, cfg.num_candidates
        is_few = 0 < MANY_ANCHORS * count < len(levels[0][2])
        if len(levels) == 1 and is_any_size and is_few:
            levels = [self._best_anchors(levels[0], count)]
        scores, deltas, priors = map(list, zip(*levels, strict=True))
        given = scores, deltas, score_factor_list, priors, img_meta, cfg
        return super()._predict_by_feat_single(*given, *args, **kwargs)

    def _best_anchors(
        self, level: tuple[Tensor, Tensor, Tensor], count: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Cut a level, as ``whole_cells`` takes it, down to maps (..., 1, count)."""
        scores, deltas, priors = level
        scores = scores.permute(1, 2, 0).reshape(-1, self.cls_out_channels)
        deltas = deltas.permute(1, 2, 0).reshape(-1, self.bbox_coder.encode_size)
        is_object = scores.sigmoid() if self.use_sigmoid_cls else scores.softmax(-1)
        best = best_first(is_object[:, 0], count)
        return scores[best].t()[:, None], deltas[best].t()[:, None], priors[best]

    def _bbox_post_process(
        self,
        results: InstanceData,
        cfg: ConfigDict,
        rescale: bool = False,
        with_nms: bool = True,
        img_meta: dict | None = None,
    ) -> InstanceData:
        """Leave out small boxes, take the best and suppress among these.

        The result is that of the stock method, which works through all ``nms_pre``
        (6000); see ``suppress_until_enough``.
        """
        cfg = copy.deepcopy(cfg)
        min_size, cfg.min_bbox_size = cfg.get('min_bbox_size', -1), -1
        if min_size > 0:
            scale = torch.tensor((img_meta or {}).get('scale_factor', (1.0, 1.0)))
            sides = results.bboxes[:, 2:] - results.bboxes[:, :2] + 1
            is_large = sides >= min_size * scale.to(sides)
            results = results[is_large.all(dim=1)]
        candidates = cfg.get('num_candidates', -1)
        if not 0 < candidates < len(results):
            candidates = len(results)
        post_process = super()._bbox_post_process

        def suppress(count: int) -> InstanceData:
            best = results[best_first(results.scores, count)]
            return post_process(best, cfg, rescale, with_nms, img_meta)

        return suppress_until_enough(
            suppress, wanted=cfg.max_per_img, total=candidates, nms=cfg.nms
        )


def whole_cells(
    scores: Tensor,
    deltas: Tensor,
    priors: Tensor,
    *,
    stride: tuple[int, int],
    img_shape: tuple[int, int],
) -> tuple[Tensor, Tensor, Tensor]:
    """Leave out the last row and column of cells where the image ends inside them.

    Args:
        scores: (A * K, h, w).
        deltas: (A * 4, h, w).
        priors: (h * w * A, 4).
        stride: pixels a cell, x and y.
        img_shape: image height and width.
    """
    height, width = scores.shape[-2:]
    rows, columns = img_shape[0] // stride[1], img_shape[1] // stride[0]
    grid = priors.reshape(height, width, -1, 4)[:rows, :columns]
    return (
        scores[:, :rows, :columns],
        deltas[:, :rows, :columns],
        grid.reshape(-1, 4),
    )
