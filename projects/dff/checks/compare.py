"""Comparison of predictions, and maps moved by slicing."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

PREDICTED = ('pred_instances', 'seg_logits', 'pred_sem_seg', 'pred_panoptic_seg')


def shift_levels(feats: Any, dx: int, dy: int, *, strides: Sequence[int]) -> Any:
    """Move features, a tensor or a tuple or list, as `shift_map` does.

    Args:
        feats: Levels; None in the place of one that no head reads stays None.
        dx: Pixels of the image, a multiple of every stride; `dy` likewise.
        dy: See `dx`.
        strides: Of the levels that are there.
    """
    if isinstance(feats, Tensor):
        return shift_map(feats, dx // strides[0], dy // strides[0])
    found = iter(strides)
    moved = []
    for feat in feats:
        if feat is not None:
            stride = next(found)
            feat = shift_map(feat, dx // stride, dy // stride)
        moved.append(feat)
    return type(feats)(moved)


def shift_map(feat: Tensor, dx: int, dy: int) -> Tensor:
    """Slice a map (N, C, h, w): out[y, x] = feat[y + dy, x + dx], 0 outside."""
    out = torch.zeros_like(feat)
    height, width = feat.shape[-2:]
    if abs(dx) >= width or abs(dy) >= height:
        return out
    y, x = (
        slice(max(0, -dy), height - max(0, dy)),
        slice(max(0, -dx), width - max(0, dx)),
    )
    source = feat[..., y.start + dy : y.stop + dy, x.start + dx : x.stop + dx]
    out[..., y, x] = source
    return out


def difference(
    ours: BaseDataElement, wanted: BaseDataElement, *, tolerance: float
) -> str | None:
    """Say in which predictions two samples differ; None: in none."""
    found, expected = dict(predictions(ours)), dict(predictions(wanted))
    if set(found) != set(expected) or not expected:
        return f'predicted are {sorted(found)}, expected {sorted(expected)}'
    for name, value in expected.items():
        got = found[name]
        if got.shape != value.shape:
            return f'{name} has the shape {tuple(got.shape)}, not {tuple(value.shape)}'
        if not value.numel():
            return f'{name} is empty: there is nothing to compare'
        if torch.equal(got, value):
            continue
        off = float((got.double() - value.double()).abs().max())
        scale = max(1.0, float(value.double().abs().max()))
        if not off <= tolerance * scale:
            return f'{name} is off by up to {off:.3g}'
    return None


def predictions(sample: BaseDataElement) -> Iterator[tuple[str, Tensor]]:
    """Yield name and tensor of everything that was predicted."""
    for field in PREDICTED:
        for name, value in sample.get(field, {}).items() if field in sample else ():
            yield f'{field}.{name}', torch.as_tensor(value)
