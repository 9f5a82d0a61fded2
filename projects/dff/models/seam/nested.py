"""Nested outputs of heads as features that can be propagated, and back.

Shapes: N images, C channels, h, w a map.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .feats import Feats

STRIDES = (4, 8, 16, 32, 64, 128)  # that a flow network can serve


@dataclass(frozen=True)
class _Slot:
    """Where a map is: its level, and its channels there."""

    level: int
    start: int
    stop: int


def stride_of(feat: Tensor, size: Sequence[int]) -> int:
    """Return the stride of a map (N, C, h, w) of images of ``size`` (H, W).

    Raises:
        ValueError: If the map is no grid over the image with a stride that is a power
            of two in 4..128.
    """
    # Networks round up or down at each halving, and some do not pad.
    gaps = {
        stride: max(
            abs(-(-side // stride) - cells)
            for side, cells in zip(size, feat.shape[-2:], strict=True)
        )
        for stride in STRIDES
    }
    stride = min(gaps, key=lambda s: gaps[s])
    # Half of the cells is no rounding: a map of one cell may be of any stride.
    halved = any(
        2 * cells <= side // stride
        for side, cells in zip(size, feat.shape[-2:], strict=True)
    )
    if gaps[stride] <= 1 and not halved:
        return stride
    raise ValueError(
        'a map can be propagated if it is a grid over the image with a stride of '
        f'{STRIDES[0]} to {STRIDES[-1]}, a power of two, got a map of '
        f'{tuple(feat.shape[-2:])} for images of {tuple(size)}'
    )


def pack(outputs: Any, size: Sequence[int]) -> Feats:
    """Turn nested maps into features: one level per grid, finest first.

    Maps of one stride and size become one map, so that they are warped in one pass.

    Args:
        outputs: Maps (N, C, h, w) in tuples, lists and dicts of any depth; None stays.
        size: (H, W) of the images.

    Raises:
        TypeError: If something in ``outputs`` is no map.
        ValueError: If a map is no grid over the image, see :func:`stride_of`.
    """
    leaves = list(leaves_of(outputs))
    for leaf in leaves:
        if not isinstance(leaf, Tensor) or leaf.ndim != 4:
            kind = tuple(leaf.shape) if isinstance(leaf, Tensor) else type(leaf)
            raise TypeError(f'what is propagated must be maps (N, C, h, w), got {kind}')
    grids = [(stride_of(leaf, size), *leaf.shape[-2:]) for leaf in leaves]
    slots: list[_Slot | None] = [None] * len(leaves)
    maps = {}
    for level, grid in enumerate(sorted(set(grids))):
        members = [i for i, other in enumerate(grids) if other == grid]
        end = 0
        for i in members:
            start, end = end, end + leaves[i].shape[1]
            slots[i] = _Slot(level, start, end)
        parts = [leaves[i] for i in members]
        maps[level] = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    places = iter(slots)
    form = replace_leaves(outputs, lambda _: next(places))
    return Feats(maps, num_levels=len(maps), form=form)


def unpack(feats: Feats) -> Any:
    """Turn features from :func:`pack` back into nested maps."""

    def take(slot: _Slot) -> Tensor:
        feat = feats.maps[slot.level]
        if slot.stop - slot.start == feat.shape[1]:
            return feat
        # mmcv's RoI align reads maps that are not contiguous wrongly, without an error.
        return feat[:, slot.start : slot.stop].contiguous()

    return replace_leaves(feats.form, take)


def pack_parts(parts: Mapping[str, Any], size: Sequence[int]) -> Feats:
    """Pack several nested outputs, each with levels of its own, in their order.

    Args:
        parts: Nested maps by name, see :func:`pack`.
        size: (H, W) of the images.

    Raises:
        TypeError, ValueError: See :func:`pack`.
    """
    maps: dict[int, Tensor] = {}
    forms = {}
    for name, outputs in parts.items():
        part, first = pack(outputs, size), len(maps)
        maps.update({first + level: feat for level, feat in part.maps.items()})
        forms[name] = (first, part.form)
    return Feats(maps, form=forms)


def unpack_parts(feats: Feats) -> dict[str, Any]:
    """Turn features from :func:`pack_parts` back into nested maps by name."""
    parts = {}
    for name, (first, form) in feats.form.items():
        maps = {n - first: feat for n, feat in feats.maps.items() if n >= first}
        parts[name] = unpack(Feats(maps, form=form))
    return parts


def divide(outputs: Any, places: Collection[int]) -> tuple[Any, Any]:
    """Divide nested maps: those at ``places`` of ``leaves_of`` are the second part.

    Both parts have the same form, with None for what is in the other.
    """
    flags = [place in places for place in range(sum(1 for _ in leaves_of(outputs)))]
    one, two = iter(flags), iter(flags)
    return (
        replace_leaves(outputs, lambda leaf: None if next(one) else leaf),
        replace_leaves(outputs, lambda leaf: leaf if next(two) else None),
    )


def merge(one: Any, two: Any) -> Any:
    """Merge two parts from :func:`divide`."""
    if isinstance(one, dict):
        return {key: merge(value, two[key]) for key, value in one.items()}
    if isinstance(one, (tuple, list)):
        values = [merge(a, b) for a, b in zip(one, two, strict=True)]
        return values if isinstance(one, list) else tuple(values)
    return two if one is None else one


def leaves_of(node: Any) -> Iterator[Any]:
    """Yield what is in tuples, lists and dicts of any depth, but no None."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, (tuple, list)):
        for value in node:
            yield from leaves_of(value)
    elif node is not None:
        yield node


def replace_leaves(node: Any, function: Callable[[Any], Any]) -> Any:
    """Return the same tuples, lists and dicts of what ``function`` returns."""
    if isinstance(node, dict):
        return {k: replace_leaves(v, function) for k, v in node.items()}
    if isinstance(node, (tuple, list)):
        values = [replace_leaves(value, function) for value in node]
        return values if isinstance(node, list) else tuple(values)
    return None if node is None else function(node)
