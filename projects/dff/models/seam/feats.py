"""What N_feat of one image, or of one window of it, hands over to be propagated."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Wanted:
    """Which maps N_feat has to return.

    Attributes:
        training: Whether those that are read in training, or in prediction.
        outputs_read: Call with ``training=``: which of the backbone's outputs (their
            indices) are read.
        img_shapes: Size (H, W) of each image inside the padding, which encoders of
            transformers mask; None: no padding.
    """

    training: bool
    outputs_read: Callable[..., Collection[int]]
    img_shapes: Sequence[Sequence[int]] | None = None


@dataclass(frozen=True)
class Feats:
    """Feature maps by level.

    Attributes:
        maps: ``{level: (N, C, h, w)}``. A level is an index into the ``strides`` of
            the flow network. Maps that no head reads are not there.
        num_levels: How many levels are propagated in training; None: not known.
        form: What the split point needs to put the maps back into the model; it does
            not change while they are propagated, and images of one size have the same.
        fill: ``{level: (N, C, 1, 1)}``, what is read outside of the maps; None: 0, as
            in Eq. (1). Scores need it, as a score of 0 is no sign of background.
    """

    maps: Mapping[int, Tensor]
    num_levels: int | None = None
    form: Any = None
    fill: Mapping[int, Tensor] | None = None

    def with_maps(self, maps: Mapping[int, Tensor]) -> 'Feats':
        """Return features of the same form with other maps."""
        return replace(self, maps=dict(maps))

    def detach(self) -> 'Feats':
        """Return the features without gradients."""
        fill = self.fill and {level: m.detach() for level, m in self.fill.items()}
        maps = {level: m.detach() for level, m in self.maps.items()}
        return replace(self, maps=maps, fill=fill)

    def filled_with_mean(self) -> 'Feats':
        """Return the features with the mean of each channel as ``fill``."""
        fill = {n: m.mean(dim=(2, 3), keepdim=True) for n, m in self.maps.items()}
        return replace(self, fill=fill)

    def split(self) -> list['Feats']:
        """Return the features of each image, (1, C, h, w)."""
        count = len(next(iter(self.maps.values())))
        if count == 1:
            return [self]
        return [
            replace(self, maps=_rows(self.maps, n), fill=_rows(self.fill, n))
            for n in range(count)
        ]


def _rows(maps: Mapping[int, Tensor] | None, n: int) -> Any:
    return maps and {level: m[n : n + 1] for level, m in maps.items()}


def join(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors (1, ...) as a batch (N, ...); a single one as it is, no copy."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def join_feats(parts: Sequence[Feats]) -> Feats:
    """Return the features of several images of one size as a batch."""
    first = parts[0]
    if len(parts) == 1:
        return first
    maps = {n: torch.cat([part.maps[n] for part in parts]) for n in first.maps}
    fill = first.fill and {
        n: torch.cat([part.fill[n] for part in parts if part.fill]) for n in first.fill
    }
    return replace(first, maps=maps, fill=fill)
