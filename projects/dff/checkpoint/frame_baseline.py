"""Fit a checkpoint of the image model (Frame) to the video model around it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

SHOWN_KEYS = 10
PROPAGATION = 'propagation.'
# batch norm's counter: absent from old checkpoints, and nothing reads it in test
COUNTER = 'num_batches_tracked'


@dataclass(frozen=True)
class KeyMatch:
    """How the keys of a checkpoint and of a model fit together."""

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)


def match_keys(state_dict: Mapping[str, Any], model: nn.Module) -> KeyMatch:
    """Compare the keys and shapes of a checkpoint with those of a model.

    Returns:
        ``matched``: in both, of one shape; ``resized``: in both, of different shapes;
        ``missing``: only in the model; ``unexpected``: only in the checkpoint.
    """
    own = model.state_dict()
    found = KeyMatch()
    for key, value in own.items():
        if key not in state_dict:
            if not key.endswith(COUNTER):
                found.missing.append(key)
        elif getattr(state_dict[key], 'shape', None) == getattr(value, 'shape', None):
            found.matched.append(key)
        else:
            found.resized.append(key)
    found.unexpected.extend(key for key in state_dict if key not in own)
    return found


def adapt_frame_state_dict(
    state_dict: Mapping[str, Any], model: nn.Module, *, prefix: str = 'detector.'
) -> tuple[dict[str, Any], str]:
    """Give the keys of an image model's checkpoint the prefix of the wrapped model.

    Args:
        state_dict: Weights of the video model (left as they are), or of the image
            model, whose keys lack the prefix.
        model: The video model.
        prefix: Of the wrapped model's keys, with its dot.

    Returns:
        The weights, and a sentence on how many keys were found, which is empty where
        every weight has its counterpart.

    Raises:
        ValueError: If the weights are of another model: a key that the model does not
            have, or a key of its own that is not there. Weights of another shape are
            left to the caller (another number of classes), and so is a flow network
            that only one of both has at all.
    """
    is_frame = not any(key.startswith(prefix) for key in state_dict)
    adapted = {prefix + k: v for k, v in state_dict.items()} if is_frame else state_dict
    own, unused = model.state_dict(), 0
    brings_flow = any(key.startswith(PROPAGATION) for key in adapted)
    if brings_flow and not any(key.startswith(PROPAGATION) for key in own):
        # a trained F is replaced by one without weights, such as classical flow
        kept = {k: v for k, v in adapted.items() if not k.startswith(PROPAGATION)}
        adapted, unused = kept, len(adapted) - len(kept)
    found = match_keys(adapted, model)
    lacking = found.missing
    if not brings_flow:
        lacking = [key for key in lacking if key.startswith(prefix)]
    if not found.matched or lacking or found.unexpected:
        raise ValueError(_describe(found, lacking, state_dict, model))
    if not (is_frame or found.missing or unused):
        return dict(state_dict), ''
    total = sum(key.startswith(prefix) for key in own)
    count = sum(key.startswith(prefix) for key in found.matched)
    return adapted, (
        f'{count} of {total} keys of {prefix[:-1]} are filled from the checkpoint; '
        f'{len(found.missing)} keys of the model keep their initial values, '
        f'{unused} of the checkpoint are not used'
        f'{_listing("; of another shape: {}", found.resized)}'
    )


def check_complete(state_dict: Mapping[str, Any], model: nn.Module) -> None:
    """Check that a checkpoint sets every weight of a model, as a test needs.

    Raises:
        ValueError: If one is missing or of another shape.
    """
    found = match_keys(state_dict, model)
    if found.missing or found.resized:
        raise ValueError(_describe(found, found.missing, state_dict, model))


def _describe(
    found: KeyMatch,
    missing: list[str],
    state_dict: Mapping[str, Any],
    model: nn.Module,
) -> str:
    if not found.matched:
        sides = _join(state_dict), _join(model.state_dict())
        detail = ' Its keys: {}. Keys of the model: {}.'.format(*sides)
    else:
        detail = (
            _listing(' Missing: {}.', missing)
            + _listing(' Unexpected: {}.', found.unexpected)
            + _listing(' Of another shape: {}.', found.resized)
        )
    return (
        f'the checkpoint is of another model than {type(model).__name__}: '
        f'{len(found.matched)} of {len(model.state_dict())} keys match.{detail}'
    )


def _listing(text: str, keys: list[str]) -> str:
    return text.format(_join(keys)) if keys else ''


def _join(keys: Iterable[str]) -> str:
    keys = list(keys)
    rest = len(keys) - SHOWN_KEYS
    return ', '.join(keys[:SHOWN_KEYS]) + (f' and {rest} more' if rest > 0 else '')
