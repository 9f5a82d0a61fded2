"""Load checkpoints of the image model (the Frame baseline) into the video model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

SHOWN_KEYS = 10
PROPAGATION = 'propagation.'
# batch norm's counter: old checkpoints lack it, and inference does not use it
COUNTER = 'num_batches_tracked'


@dataclass(frozen=True)
class KeyMatch:
    """Keys of a checkpoint and of a model, by how they match."""

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)


def match_keys(state_dict: Mapping[str, Any], model: nn.Module) -> KeyMatch:
    """Compare the keys and shapes of a checkpoint with those of a model.

    Returns:
        ``matched``: in both, with the same shape; ``resized``: in both, with different
        shapes; ``missing``: only in the model; ``unexpected``: only in the checkpoint.
    """
    own = model.state_dict()
    match = KeyMatch()
    for key, value in own.items():
        if key not in state_dict:
            if not key.endswith(COUNTER):
                match.missing.append(key)
        elif getattr(state_dict[key], 'shape', None) == getattr(value, 'shape', None):
            match.matched.append(key)
        else:
            match.resized.append(key)
    match.unexpected.extend(key for key in state_dict if key not in own)
    return match


def adapt_frame_state_dict(
    state_dict: Mapping[str, Any], model: nn.Module, *, prefix: str = 'detector.'
) -> tuple[dict[str, Any], str]:
    """Add the prefix of the wrapped model to the keys of an image model's checkpoint.

    Weights of other shapes (another number of classes) are left to the caller, and so
    is a flow network that only the model or only the checkpoint has.

    Args:
        state_dict: Weights of the image model, whose keys lack the prefix, or of the
            video model, which are returned unchanged.
        model: The video model.
        prefix: Prefix of the wrapped model's keys, with its dot.

    Returns:
        The weights, and a sentence on the number of loaded keys, which is empty if
        every weight has a counterpart.

    Raises:
        ValueError: If the weights are of another model: one of their keys is not in
            the model, or one of the model's keys is missing.
    """
    is_frame = not any(key.startswith(prefix) for key in state_dict)
    adapted: Any = state_dict
    if is_frame:
        adapted = {prefix + key: value for key, value in state_dict.items()}
    own, unused = model.state_dict(), 0
    has_flow = any(key.startswith(PROPAGATION) for key in adapted)
    if has_flow and not any(key.startswith(PROPAGATION) for key in own):
        # the model's F has no weights, such as classical flow
        used = {k: v for k, v in adapted.items() if not k.startswith(PROPAGATION)}
        adapted, unused = used, len(adapted) - len(used)
    match = match_keys(adapted, model)
    missing = match.missing
    if not has_flow:
        missing = [key for key in missing if key.startswith(prefix)]
    if not match.matched or missing or match.unexpected:
        raise ValueError(_describe(match, missing, state_dict, model))
    if not (is_frame or match.missing or unused):
        return dict(state_dict), ''
    total = sum(key.startswith(prefix) for key in own)
    count = sum(key.startswith(prefix) for key in match.matched)
    return adapted, (
        f'{count} of {total} keys of {prefix[:-1]} are filled from the checkpoint; '
        f'{len(match.missing)} keys of the model keep their initial values, '
        f'{unused} of the checkpoint are not used'
        f'{_listing("; of another shape: {}", match.resized)}'
    )


def check_complete(state_dict: Mapping[str, Any], model: nn.Module) -> None:
    """Check that a checkpoint sets every weight of a model, as inference needs.

    Raises:
        ValueError: If a weight is missing or has another shape.
    """
    match = match_keys(state_dict, model)
    if match.missing or match.resized:
        raise ValueError(_describe(match, match.missing, state_dict, model))


def _describe(
    match: KeyMatch,
    missing: list[str],
    state_dict: Mapping[str, Any],
    model: nn.Module,
) -> str:
    if not match.matched:
        sides = _join(state_dict), _join(model.state_dict())
        detail = ' Its keys: {}. Keys of the model: {}.'.format(*sides)
    else:
        detail = (
            _listing(' Missing: {}.', missing)
            + _listing(' Unexpected: {}.', match.unexpected)
            + _listing(' Of another shape: {}.', match.resized)
        )
    return (
        f'the checkpoint is of another model than {type(model).__name__}: '
        f'{len(match.matched)} of {len(model.state_dict())} keys match.{detail}'
    )


def _listing(text: str, keys: list[str]) -> str:
    return text.format(_join(keys)) if keys else ''


def _join(keys: Iterable[str]) -> str:
    keys = list(keys)
    rest = len(keys) - SHOWN_KEYS
    return ', '.join(keys[:SHOWN_KEYS]) + (f' and {rest} more' if rest > 0 else '')
