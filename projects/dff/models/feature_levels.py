"""Levels of features, whatever they come in: a tensor, tuple or list of maps."""

from collections.abc import Sequence

from torch import Tensor

Feats = Tensor | Sequence[Tensor]


def as_levels(feats: Feats) -> list[Tensor]:
    """Give the levels of a tensor, tuple or list of maps as a list.

    A None in the place of a level (one that is not propagated) is left out.

    Raises:
        TypeError: If ``feats`` is none of these.
    """
    if isinstance(feats, Tensor):
        return [feats]
    if isinstance(feats, (tuple, list)):
        levels = [feat for feat in feats if feat is not None]
        if levels and all(isinstance(feat, Tensor) for feat in levels):
            return levels
    raise TypeError(
        'features must be a tensor or a tuple or list of tensors, got '
        f'{type(feats).__name__}'
    )


def like_feats(levels: list[Tensor], feats: Feats) -> Feats:
    """Put levels back into the form (tensor, tuple or list) of ``feats``."""
    if isinstance(feats, Tensor):
        return levels[0]
    found = iter(levels)
    return type(feats)(None if feat is None else next(found) for feat in feats)
