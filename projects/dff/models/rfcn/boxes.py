"""Anchors and box coding of the released R-FCN.

Boxes are (x1, y1, x2, y2) in image pixels and include their last pixel, so that
a box is x2 - x1 + 1 wide (the "legacy" convention of MMDetection 1.x).
A anchors a cell, R boxes.
"""

from collections.abc import Sequence

import torch
from mmdet.models.task_modules.coders import LegacyDeltaXYWHBBoxCoder
from mmdet.models.task_modules.prior_generators import LegacyAnchorGenerator
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor


@TASK_UTILS.register_module()
class RFCNAnchorGenerator(LegacyAnchorGenerator):
    """Generate the anchors of the release: whole-pixel base shapes times scales.

    The stock legacy generator scales first and rounds the corners last; the
    release rounds each ratio's shape at the base size and then multiplies, for
    instance 23 x 12 times 8 = 184 x 96 instead of 181 x 91. The order is the
    same, ratio by ratio and scale by scale within.
    """

    def __init__(
        self,
        strides: list[int],
        ratios: list[float],
        scales: list[float],
        base_sizes: list[int] | None = None,
        **kwargs,
    ) -> None:
        """Set the shapes up.

        Args:
            strides: of the feature map, one entry.
            ratios: height over width.
            scales: multiples of the base size.
            base_sizes: side of the base square in pixels; the stride by default.
            kwargs: handed to the stock generator.
        """
        kwargs.setdefault('center_offset', 0.5)
        super().__init__(
            strides, ratios, scales=scales, base_sizes=base_sizes, **kwargs
        )

    def gen_single_level_base_anchors(
        self,
        base_size: float,
        scales: Tensor,
        ratios: Tensor,
        center: Sequence[float] | None = None,
    ) -> Tensor:
        """Return the anchors (A, 4) of the cell at the origin."""
        if center is None:
            center = [self.center_offset * (base_size - 1)] * 2
        # Half to even, as NumPy rounds: 23 * .5 becomes 12.
        ratios, scales = ratios.double(), scales.double()
        base_ws = (base_size**2 / ratios).sqrt().round()
        base_hs = (base_ws * ratios).round()
        ws = (base_ws[:, None] * scales).flatten()
        hs = (base_hs[:, None] * scales).flatten()
        xs, ys = torch.full_like(ws, center[0]), torch.full_like(hs, center[1])
        half_ws, half_hs = (ws - 1) / 2, (hs - 1) / 2
        anchors = torch.stack(
            [xs - half_ws, ys - half_hs, xs + half_ws, ys + half_hs], dim=-1
        )
        return anchors.float()  # (A, 4)


@TASK_UTILS.register_module()
class RFCNBBoxCoder(LegacyDeltaXYWHBBoxCoder):
    """Code boxes that include their last pixel, so that zero deltas change nothing.

    The stock legacy coder measures such boxes but decodes corners half a pixel
    too far out (zero deltas widen its boxes by one pixel), and limits how much a
    side may change; the release does not.
    """

    def decode(
        self,
        bboxes: Tensor,
        pred_bboxes: Tensor,
        max_shape: Sequence[int] | None = None,
    ) -> Tensor:
        """Apply deltas to boxes.

        Args:
            bboxes: (R, 4).
            pred_bboxes: deltas (R, 4 or 4 * K), in units of the target stds.
            max_shape: image height and width; boxes are clipped to its last pixel.

        Returns:
            Boxes of the shape of ``pred_bboxes``.
        """
        bboxes = get_box_tensor(bboxes)[:, None]  # (R, 1, 4)
        deltas = pred_bboxes.unflatten(1, (pred_bboxes.shape[1] // 4, 4))  # (R, K, 4)
        deltas = deltas * deltas.new_tensor(self.stds) + deltas.new_tensor(self.means)
        sides = bboxes[..., 2:] - bboxes[..., :2] + 1
        centres = (bboxes[..., :2] + bboxes[..., 2:]) / 2 + sides * deltas[..., :2]
        reach = (sides * deltas[..., 2:].exp() - 1) / 2  # centre to last pixel
        low, high = centres - reach, centres + reach
        if max_shape is not None:
            last = low.new_tensor([max_shape[1] - 1, max_shape[0] - 1])
            zero = torch.zeros_like(last)
            low = torch.minimum(torch.maximum(low, zero), last)
            high = torch.minimum(torch.maximum(high, zero), last)
        return torch.cat([low, high], dim=-1).reshape(pred_bboxes.shape)
