"""Classical optical flow in the place of a flow network: DIS, Farneback, SIFT flow.

Shapes: N batch; H, W full-size image; h, w the flow map.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor

from .field import FLOW_MEAN, check_strides, flow_stride
from .flow_cache import FlowCache
from .sift.sift_flow import SiftFlowParameters, sift_flow

# Settings of every method by preset; the first is the one taken where none is named.
PRESETS: dict[str, dict[str, Any]] = {
    'dis': {
        'ultrafast': cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
        'fast': cv2.DISOPTICAL_FLOW_PRESET_FAST,
        'medium': cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
    },
    'farneback': {
        'default': dict(  # the call in OpenCV's documentation
            pyr_scale=0.5,
            levels=3,
            winsize=15,
            iterations=3,
            poly_n=5,
            poly_sigma=1.2,
            flags=0,
        ),
    },
    'sift': {
        'fast': SiftFlowParameters(),
        # chosen by the mean error on nine Flying Chairs pairs and on RubberWhale, one
        # parameter after the other: smaller cells, less smoothness and no pull to zero
        # motion, search from quarter size on (small things that move far), fractions
        # of pixels. Wider windows, several cell sizes, another d or twice the
        # iterations gave nothing more.
        'slow': SiftFlowParameters(
            alpha=300,
            gamma=0,
            levels=3,
            top_radius=20,
            cell_sizes=(2,),
            is_subpixel=True,
        ),
    },
}
IN_COLOUR = ('sift',)  # methods that see RGB (H, W, 3), the others gray (H, W)
MIN_SIDE = 64  # pixels a side at least; patches find nothing in smaller frames
CACHE_VERSION = 1  # to be raised where a method changes its results


def _dis(cur: np.ndarray, key: np.ndarray, preset: int) -> np.ndarray:
    # made anew: it holds no state between pairs and cannot be deep-copied
    return cv2.DISOpticalFlow_create(preset).calc(cur, key, None)


def _farneback(cur: np.ndarray, key: np.ndarray, preset: dict[str, Any]) -> np.ndarray:
    return cv2.calcOpticalFlowFarneback(cur, key, None, **preset)


# two uint8 images and the preset's settings -> flow (H, W, 2) float32
METHODS: dict[str, Callable[[np.ndarray, np.ndarray, Any], np.ndarray]] = {
    'dis': _dis,
    'farneback': _farneback,
    'sift': sift_flow,
}


@MODELS.register_module()
class ClassicalFlow(BaseModule):
    """Hand-crafted optical flow as F; S = 1 (paper Sec. 5.1, Tab. 3: SFF).

    `net(cur, key) -> (flow, None)`, with the input of every flow network: full-size
    RGB in 0..255 units minus (123.15, 115.90, 103.06). There is nothing to train and
    no gradient, so the parts around it train as usual.

    Args:
        preset: of 'dis', OpenCV's 'ultrafast' (default), 'fast' or 'medium'; of
            'farneback', 'default'; of 'sift', 'fast' (default; SIFT flow as published,
            SFF-fast) or 'slow' (its best parameters here, SFF-slow).
        method: 'dis' (dense inverse search), 'farneback' or 'sift' (SIFT flow).
        working_scale: size at which the method runs, a fraction of full size; it has
            to leave at least one pixel for a cell of the flow map.
        strides: stride of every feature level, in the levels' order.
        cache_dir: folder that keeps the flow of every pair seen, None: none. Worth it
            for SIFT flow, where the same pairs are tested again.
        init_cfg: unused; there are no weights.

    Raises:
        ValueError: a method, preset or working scale that does not exist.
    """

    def __init__(
        self,
        preset: str | None = None,
        *,
        method: str = 'dis',
        working_scale: float = 1.0,
        strides: Sequence[int] = (16,),
        cache_dir: str | os.PathLike | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if method not in PRESETS:
            raise ValueError(f'method must be one of {list(PRESETS)}, got {method!r}')
        presets = PRESETS[method]
        if preset is None:
            preset = next(iter(presets))
        if preset not in presets:
            raise ValueError(
                f'preset must be one of {list(presets)} with method {method!r}, '
                f'got {preset!r}'
            )
        self.strides = check_strides(strides)
        self.flow_stride = flow_stride(self.strides)
        if not 1 / self.flow_stride <= working_scale <= 1:
            raise ValueError(
                f'working_scale must be in [1/{self.flow_stride}, 1] (one over the '
                f'flow stride, full size), got {working_scale}'
            )
        self.method = method
        self.preset = preset
        self.working_scale = working_scale
        self.cache = None
        if cache_dir is not None:
            settings = (method, presets[preset], working_scale, self.flow_stride)
            versions = (CACHE_VERSION, cv2.__version__)
            self.cache = FlowCache(cache_dir, repr((*settings, *versions)))
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

        Raises:
            ValueError: the frames are not both (N, 3, H, W), of one size.
        """
        if cur.shape != key.shape or cur.ndim != 4 or cur.shape[1] != 3:
            raise ValueError(
                'cur and key must both be (N, 3, H, W), got '
                f'{tuple(cur.shape)} and {tuple(key.shape)}'
            )
        n, _, height, width = cur.shape
        cells = (-(-height // self.flow_stride), -(-width // self.flow_stride))
        fields = np.empty((n, *cells, 2), np.float32)
        pairs = zip(self._to_uint8(cur), self._to_uint8(key), strict=True)
        for i, pair in enumerate(pairs):
            fields[i] = self._cached(*pair, cells)
        flow = torch.from_numpy(fields).permute(0, 3, 1, 2)  # (N, 2, h, w)
        return flow.contiguous().to(cur.device), None

    def _to_uint8(self, frames: Tensor) -> np.ndarray:
        """Return the frames as they were read, (N, H, W, 3) RGB uint8."""
        pixels = (frames.float() + self.mean).round().clamp(0, 255)
        return pixels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def _cached(
        self, cur: np.ndarray, key: np.ndarray, cells: tuple[int, int]
    ) -> np.ndarray:
        if self.cache is None:
            return self._estimate(cur, key, cells)
        return self.cache.get(
            cur, key, (*cells, 2), lambda: self._estimate(cur, key, cells)
        )

    def _estimate(
        self, cur: np.ndarray, key: np.ndarray, cells: tuple[int, int]
    ) -> np.ndarray:
        """Match two RGB images (H, W, 3); return (h, w, 2) for `cells` (h, w).

        The frames are continued to whole cells (last row and column repeated), so
        that a cell is exactly stride x stride pixels at any working size.
        """
        full = (cells[1] * self.flow_stride, cells[0] * self.flow_stride)  # (W, H)
        shrunk = [max(MIN_SIDE, round(side * self.working_scale)) for side in full]
        cur, key = (self._resize(image, full, shrunk) for image in (cur, key))
        flow = METHODS[self.method](cur, key, PRESETS[self.method][self.preset])
        flow = cv2.resize(flow, cells[::-1], interpolation=cv2.INTER_AREA)
        ratios = [full[0] / shrunk[0], full[1] / shrunk[1]]
        to_full = np.array(ratios, np.float32)
        return flow * to_full / self.flow_stride

    def _resize(
        self, image: np.ndarray, full: Sequence[int], shrunk: Sequence[int]
    ) -> np.ndarray:
        if self.method not in IN_COLOUR:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        below, right = full[1] - image.shape[0], full[0] - image.shape[1]
        image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)
