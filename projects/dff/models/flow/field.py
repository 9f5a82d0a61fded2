"""Sizes, strides and values of flow and scale fields.

Shapes: N batch, C channels, h, w the map a field lives on. A field of stride s has
one cell for every s x s block of image pixels, counted from the upper left corner.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

# released code: RGB pixel means that every flow network's input lacks
FLOW_MEAN = (123.15, 115.90, 103.06)
MIN_FLOW_STRIDE = 8  # half-size input, decoder output at 1/4 of it (paper Sec. 4)
MIN_STRIDE, MAX_STRIDE = 4, 128


def check_strides(strides: Sequence[int]) -> tuple[int, ...]:
    """Return the feature strides as a tuple; any order, powers of two in 4..128.

    Raises:
        TypeError: `strides` is no sequence of int.
        ValueError: there is no stride, or one is no power of two in 4..128.
    """
    if isinstance(strides, str) or not isinstance(strides, Sequence):
        raise TypeError(f'strides must be a sequence of int, got {strides!r}')
    if not strides:
        raise ValueError('strides must name at least one feature level, got none')
    for stride in strides:
        if isinstance(stride, bool) or not isinstance(stride, int):
            raise TypeError(f'strides must be a sequence of int, got {strides!r}')
        if not MIN_STRIDE <= stride <= MAX_STRIDE or stride & (stride - 1):
            raise ValueError(
                f'strides must be powers of two in {MIN_STRIDE}..{MAX_STRIDE}, '
                f'got {stride} in {tuple(strides)}'
            )
    return tuple(strides)


def flow_stride(strides: Sequence[int]) -> int:
    """Return the stride a flow is predicted at: the finest needed, at least 8."""
    return max(MIN_FLOW_STRIDE, min(strides))


def resize_field(field: Tensor, size: Sequence[int], *, ratio: float) -> Tensor:
    """Bring a field (N, C, h, w) to another stride; its values keep their unit.

    Going down, a new cell is the mean of the old cells it covers (at the lower and
    right border: of those that exist); going up is bilinear between cell centres.
    The grids follow the strides, not the sizes: 75 cells of stride 8 become 38 of
    stride 16, the last one half outside, as a network's own maps do. A last row or
    column too many is cut, one that lacks is repeated; maps that differ by more
    (networks without padding) are stretched onto each other.

    Args:
        field: flow, scale or any other map.
        size: (h, w) of the result.
        ratio: source stride / target stride, a power of two.

    Raises:
        ValueError: the ratio is no power of two or the size is not positive.
    """
    height, width = _check_size(size)
    steps = _check_ratio(ratio)
    if steps == 1 and tuple(field.shape[-2:]) == (height, width):
        return field
    if ratio < 1:
        field = F.avg_pool2d(field, steps, ceil_mode=True)
    elif ratio > 1:
        grown = (field.shape[-2] * steps, field.shape[-1] * steps)
        field = F.interpolate(field, grown, mode='bilinear', align_corners=False)
    lacks = (height - field.shape[-2], width - field.shape[-1])
    if lacks == (0, 0):
        return field
    if max(map(abs, lacks)) > max(1, int(ratio)):
        size = (height, width)
        return F.interpolate(field, size, mode='bilinear', align_corners=False)
    field = field[..., :height, :width]
    grow = (0, max(lacks[1], 0), 0, max(lacks[0], 0))
    return F.pad(field, grow, mode='replicate') if any(grow) else field


def resize_flow(flow: Tensor, size: Sequence[int], *, ratio: float) -> Tensor:
    """Bring a flow (N, 2, h, w) to another stride, geometry and values.

    Values are pixels of the map, so they are multiplied by exactly `ratio`, in x and
    in y, never by the ratio of two rounded map sizes. Otherwise `resize_field`.

    Args:
        flow: flow in pixels of its own map.
        size: (h, w) of the result.
        ratio: source stride / target stride, a power of two.

    Raises:
        ValueError: the flow is not (N, 2, h, w); or see `resize_field`.
    """
    if flow.ndim != 4 or flow.shape[1] != 2:
        raise ValueError(f'flow must be (N, 2, h, w), got {tuple(flow.shape)}')
    resized = resize_field(flow, size, ratio=ratio)
    return resized if ratio == 1 else resized * ratio


def _check_size(size: Sequence[int]) -> tuple[int, int]:
    height, width = (int(side) for side in size)
    if height < 1 or width < 1:
        raise ValueError(f'size must be positive (h, w), got {tuple(size)}')
    return height, width


def _check_ratio(ratio: float) -> int:
    """Return how many cells of the finer grid make one of the coarser, a side."""
    steps = max(ratio, 1 / ratio) if ratio > 0 else 0
    if steps != int(steps) or steps < 1 or int(steps) & (int(steps) - 1):
        raise ValueError(
            f'ratio (source stride / target stride) must be a power of two, got {ratio}'
        )
    return int(steps)
