"""Classical optical flow (OpenCV DIS) in the place of a flow network.

Shapes: N batch; H, W full-size image; h, w the flow map.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor

from .field import FLOW_MEAN, check_strides, flow_stride

PRESETS = {
    'ultrafast': cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    'fast': cv2.DISOPTICAL_FLOW_PRESET_FAST,
    'medium': cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
MIN_SIDE = 64  # pixels DIS gets a side; its patches find nothing in smaller frames


@MODELS.register_module()
class ClassicalFlow(BaseModule):
    """Dense inverse search (DIS) as a hand-crafted F; S = 1 (paper Sec. 5.1, SFF).

    `net(cur, key) -> (flow, None)`, with the input of every flow network: full-size
    RGB in 0..255 units minus (123.15, 115.90, 103.06). There is nothing to train and
    no gradient, so the parts around it train as usual.

    Differs from paper: DIS instead of SIFT flow.

    Args:
        preset: 'ultrafast', 'fast' or 'medium', OpenCV's presets.
        working_scale: size at which DIS runs, a fraction of full size; it has to
            leave at least one pixel for a cell of the flow map.
        strides: stride of every feature level, in the levels' order.
        init_cfg: unused; there are no weights.
    """

    def __init__(
        self,
        preset: str = 'ultrafast',
        *,
        working_scale: float = 1.0,
        strides: Sequence[int] = (16,),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if preset not in PRESETS:
            raise ValueError(f'preset must be one of {list(PRESETS)}, got {preset!r}')
        self.strides = check_strides(strides)
        self.flow_stride = flow_stride(self.strides)
        if not 1 / self.flow_stride <= working_scale <= 1:
            raise ValueError(
                f'working_scale must be in [1/{self.flow_stride}, 1] (one over the '
                f'flow stride, full size), got {working_scale}'
            )
        self.preset = preset
        self.working_scale = working_scale
        mean = torch.tensor(FLOW_MEAN).view(1, 3, 1, 1)
        self.register_buffer('mean', mean, persistent=False)

    @torch.no_grad()
    def forward(
        self, cur: Tensor, key: Tensor, levels: Sequence[int] | None = None
    ) -> tuple[Tensor, None]:
        """Estimate the flow from `cur` to `key`, both (N, 3, H, W).

        Returns:
            flow (N, 2, ceil(H / flow_stride), ceil(W / flow_stride)) in pixels of
            that map, float32: the mean over each cell's block of full-size pixels,
            divided by the stride; None, the scale.
        """
        if cur.shape != key.shape or cur.ndim != 4 or cur.shape[1] != 3:
            raise ValueError(
                'cur and key must both be (N, 3, H, W), got '
                f'{tuple(cur.shape)} and {tuple(key.shape)}'
            )
        n, _, height, width = cur.shape
        cells = (-(-height // self.flow_stride), -(-width // self.flow_stride))
        flow = np.empty((n, *cells, 2), np.float32)
        pairs = zip(self._to_uint8(cur), self._to_uint8(key), strict=True)
        for i, pair in enumerate(pairs):
            flow[i] = self._estimate(*pair, cells)
        flow = torch.from_numpy(flow).permute(0, 3, 1, 2)  # (N, 2, h, w)
        return flow.contiguous().to(cur.device), None

    def _to_uint8(self, frames: Tensor) -> np.ndarray:
        """Give back the frames as read from disk, (N, H, W, 3) RGB uint8."""
        pixels = (frames.float() + self.mean).round().clamp(0, 255)
        return pixels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _estimate(
        self, cur: np.ndarray, key: np.ndarray, cells: tuple[int, int]
    ) -> np.ndarray:
        """Run DIS on two RGB images (H, W, 3); return (h, w, 2) for `cells` (h, w).

        The frames are continued to whole cells (last row and column repeated), so
        that a cell is exactly stride x stride pixels at any working size.
        """
        full = (cells[1] * self.flow_stride, cells[0] * self.flow_stride)  # (W, H)
        shrunk = [max(MIN_SIDE, round(side * self.working_scale)) for side in full]
        cur, key = (self._to_gray(image, full, shrunk) for image in (cur, key))
        # made anew: it holds no state between pairs and cannot be deep-copied
        flow = cv2.DISOpticalFlow_create(PRESETS[self.preset]).calc(cur, key, None)
        flow = cv2.resize(flow, cells[::-1], interpolation=cv2.INTER_AREA)
        to_full = np.float32([full[0] / shrunk[0], full[1] / shrunk[1]])
        return flow * to_full / self.flow_stride

    @staticmethod
    def _to_gray(
        image: np.ndarray, full: Sequence[int], shrunk: Sequence[int]
    ) -> np.ndarray:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        below, right = full[1] - gray.shape[0], full[0] - gray.shape[1]
        gray = cv2.copyMakeBorder(gray, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return cv2.resize(gray, shrunk, interpolation=cv2.INTER_AREA)
