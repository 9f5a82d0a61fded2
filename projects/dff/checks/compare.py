"""Compare predictions, and shift feature maps by slicing."""

from collections.abc import Iterator, Sequence

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from dff.models.seam.feats import Feats

PREDICTED = ('pred_instances', 'seg_logits', 'pred_sem_seg', 'pred_panoptic_seg')


def shift_levels(feats: Feats, dx: int, dy: int, *, strides: Sequence[int]) -> Feats:
    """Shift the maps of all levels by whole pixels of the image, see `shift_map`.

    Args:
        feats: Maps (N, C, h, w) by level.
        dx: Shift in x in pixels of the image, a multiple of every stride.
        dy: Shift in y, likewise.
        strides: Stride of each level.
    """
    maps = {}
    for level, feat in feats.maps.items():
        cells = dx // strides[level], dy // strides[level]
        maps[level] = shift_map(feat, *cells)
        if feats.fill is not None:
            inside = shift_map(torch.ones_like(feat), *cells)
            maps[level] += (1 - inside) * feats.fill[level]
    return feats.with_maps(maps)


def shift_map(feat: Tensor, dx: int, dy: int) -> Tensor:
    """Shift a map (N, C, h, w): out[y, x] = feat[y + dy, x + dx], 0 outside."""
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


def describe_difference(
    ours: BaseDataElement, wanted: BaseDataElement, *, tolerance: float
) -> str | None:
    """Describe the first prediction in which two samples differ.

    Args:
        ours: Sample of the checked model.
        wanted: Sample with the expected predictions.
        tolerance: Allowed error, relative to the largest value or 1.

    Returns:
        The description; None if the predictions are equal.
    """
    predicted = dict(iterate_predictions(ours))
    expected = dict(iterate_predictions(wanted))
    if set(predicted) != set(expected) or not expected:
        return f'expected predictions of {sorted(expected)}, got {sorted(predicted)}'
    for name, value in expected.items():
        got = predicted[name]
        if got.shape != value.shape:
            return (
                f'{name} must have the shape {tuple(value.shape)}, got '
                f'{tuple(got.shape)}'
            )
        if not value.numel():
            return f'{name} is empty, so there is nothing to compare'
        if torch.equal(got, value):
            continue
        off = float((got.double() - value.double()).abs().max())
        scale = max(1.0, float(value.double().abs().max()))
        if not off <= tolerance * scale:
            return f'{name} differs by up to {off:.3g}'
    return None


def iterate_predictions(sample: BaseDataElement) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and tensor (any shape) of each prediction of a sample."""
    for field in PREDICTED:
        for name, value in sample.get(field, {}).items() if field in sample else ():
            yield f'{field}.{name}', torch.as_tensor(value)
