"""Building and freezing of the image model inside a video model."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from mmengine.registry import Registry
from torch import nn


def build_image_model(
    model: dict, preprocessor: dict | None, *, registry: Registry, name: str
) -> nn.Module:
    """Build an image model, with a preprocessor if its config has none.

    Raises:
        ValueError: If there is none at all: images would not be normalised.
    """
    if model.get('data_preprocessor') is None:
        if preprocessor is None:
            raise ValueError(
                f'{name} must have a data_preprocessor in its config, otherwise images '
                f'are not normalised; got the keys {sorted(model)}'
            )
        model = dict(model, data_preprocessor=preprocessor)
    return registry.build(model)


def freeze(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Stop the training of modules and parameters whose names match.

    Args:
        model: Module that holds them.
        patterns: Name patterns (``fnmatch``).

    Returns:
        Names of the matching modules, which must stay in eval mode.

    Raises:
        TypeError: If the patterns are not a list of strings.
        ValueError: If a pattern matches nothing.
    """
    is_list = isinstance(patterns, Sequence) and not isinstance(patterns, str)
    if not is_list or not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f'frozen_modules must be a list of names, got {patterns!r:.80}')
    modules = [name for name, _ in model.named_modules() if name]
    params = dict(model.named_parameters())
    frozen: list[str] = []
    for pattern in patterns:
        found = [name for name in modules if fnmatchcase(name, pattern)]
        single = [name for name in params if fnmatchcase(name, pattern)]
        if not (found or single):
            raise ValueError(
                f'frozen_modules pattern {pattern!r} matches no module or parameter; '
                f'modules: {modules[:20]} …'
            )
        for name in single:
            params[name].requires_grad_(False)
        for name in found:
            model.get_submodule(name).requires_grad_(False)
        frozen += found
    return frozen


def check_part(name: str, part: Any, method: str) -> None:
    """Check that a part was built, by a method that it must have.

    Raises:
        TypeError: ``part`` has no such method.
    """
    if not hasattr(part, method):
        raise TypeError(f'{name} must have {method}() or be a config, got {part!r:.80}')
