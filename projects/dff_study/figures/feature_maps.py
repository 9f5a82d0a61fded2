"""Features of a key frame that are propagated to other frames.

Shapes in this module: C channels, h, w cells inside the image, H, W frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from dff.apis import VideoInferencer
from dff.models.seam.windows import cut, join_windows, shape_inside
from dff.visualization import flow_at_image_size


@dataclass(frozen=True)
class FrameMaps:
    """Maps of a frame at one level of the features.

    Attributes:
        image: The frame (H, W, 3), BGR uint8.
        own: N_feat of this frame (C, h, w).
        carried: Key features propagated to it (C, h, w); on the key frame ``own``.
        flow: M_{i->k} (H, W, 2) in pixels of the frame; None on the key frame.
        scale: S_{i->k} (C, h, w); None on the key frame, and where S = 1.
        reach: Height and width that the cells cover, relative to the frame.
    """

    image: np.ndarray
    own: np.ndarray
    carried: np.ndarray
    flow: np.ndarray | None
    scale: np.ndarray | None
    reach: tuple[float, float]


@torch.no_grad()
def carry_features(
    inferencer: VideoInferencer, images: Sequence[np.ndarray], *, level: int = 0
) -> list[FrameMaps]:
    """Run N_feat on frames, and F, S and W from the first to each other one.

    Args:
        inferencer: Of a DFF model with ``interval=1``, so that N_feat runs on each.
        images: Key frame and current frames (H, W, 3), BGR uint8, of one size.
        level: Index of the propagated feature level.

    Returns:
        One entry per frame, the key frame first.

    Raises:
        ValueError: Frames differ in size, or there is no such level.
    """
    sizes = sorted({image.shape[:2] for image in images})
    if len(sizes) != 1:
        raise ValueError(f'key and current frames must have one size, got {sizes}')
    encoded = []
    for image, sample in inferencer.with_images(images):
        stream = inferencer.model.stream
        encoded.append(_Encoded(image, stream.key_image, stream.key_feats, sample))
    key = encoded[0]
    levels = sorted(key.feats[0].maps)
    if level not in levels:
        raise ValueError(f'level must be one of {levels}, got {level}')
    carrier = _Carrier(inferencer, key, level)
    return [carrier.maps(frame, is_key=frame is key) for frame in encoded]


@dataclass(frozen=True)
class _Encoded:
    """A frame, the input (1, 3, H, W) of the model, and the features per window."""

    image: np.ndarray
    pixels: Tensor
    feats: list
    sample: BaseDataElement


class _Carrier:
    """Propagate one level of the features of a key frame to other frames."""

    def __init__(self, inferencer: VideoInferencer, key: _Encoded, level: int) -> None:
        self.model, self.key, self.level = inferencer.model, key, level
        self.flow_stride = inferencer.flow_stride
        self.windows = self.model.seam.windows(key.pixels)
        y1, x1, y2, x2 = self.windows[0]
        cells = math.prod(key.feats[0].maps[level].shape[-2:])
        # a power of two; cells are rounded up or down at the border
        self.stride = 2 ** round(math.log2((y2 - y1) * (x2 - x1) / cells) / 2)

    def maps(self, frame: _Encoded, *, is_key: bool) -> FrameMaps:
        own = self._inside(self._level_of(frame.feats), frame)
        sides = zip(own.shape[1:], frame.sample.img_shape, strict=False)
        reach = tuple(cells * self.stride / side for cells, side in sides)
        if is_key:
            return FrameMaps(frame.image, own, own, None, None, reach)
        flows, scales, feats = [], [], []
        for window, key_feats in zip(self.windows, self.key.feats, strict=True):
            flow, fields, warped = self._propagate(frame, window, key_feats)
            flows.append(flow)
            scales.append(fields[self.level][1])
            feats.append(warped)
        carried = self._inside(self._level_of(feats), frame)
        scale = None if scales[0] is None else self._inside(scales, frame)
        flow = flow_at_image_size(
            self._join(flows, self.flow_stride),
            self.flow_stride,
            img_shape=frame.sample.img_shape,
            ori_shape=frame.sample.ori_shape,
        )
        return FrameMaps(frame.image, own, carried, flow, scale, reach)

    def _propagate(self, frame: _Encoded, window: tuple, key_feats: Any) -> tuple:
        """Return flow, fields and features of one window of a frame (Eq. 1-3)."""
        propagation = self.model.propagation
        flow, scale = propagation.estimate(
            cut(frame.pixels, window),
            cut(self.key.pixels, window),
            [shape_inside(frame.sample.img_shape, window)],
            levels=list(key_feats.maps),
        )
        fields = propagation.fields(flow, scale, key_feats)
        return flow, fields, propagation.warp(key_feats, fields)

    def _level_of(self, feats: Sequence) -> list[Tensor]:
        return [part.maps[self.level] for part in feats]

    def _join(self, parts: Sequence[Tensor], stride: int) -> Tensor:
        size = self.key.pixels.shape[-2:]
        return join_windows(parts, self.windows, size=size, stride=stride)

    def _inside(self, parts: Sequence[Tensor], frame: _Encoded) -> np.ndarray:
        """Join windows and cut the padding: (C, h, w)."""
        height, width = (-(-s // self.stride) for s in frame.sample.img_shape[:2])
        whole = self._join(parts, self.stride)[0, :, :height, :width]
        return whole.float().cpu().numpy()
