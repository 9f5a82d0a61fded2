"""What N_feat of one image, or of one window of it, hands over to be propagated."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Wanted:
    """Which maps N_feat has to return.

    Attributes:
        training: Whether those that are read in training, or in prediction.
        outputs_read: Call with ``training=``: which of the backbone's outputs (their
            indices) are read.
    """

    training: bool
    outputs_read: Callable[..., Collection[int]]


@dataclass(frozen=True)
class Feats:
    """Feature maps by level.

    Attributes:
        maps: ``{level: (N, C, h, w)}``. A level is an index into the ``strides`` of
            the flow network. Maps that no head reads are not there.
        num_levels: How many levels are propagated in training; None: not known.
        form: What the split point needs to put the maps back into the model; it does
            not change while they are propagated.
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
