"""Shallow copies of modules in which a few methods or children are others."""

from collections.abc import Mapping
from typing import Any

from torch import nn


def view_of(module: nn.Module, **replacements: Any) -> nn.Module:
    """Return a shallow copy of a module with some attributes replaced.

    The view has the module's class, parameters, buffers, children, hooks and mode.
    The module itself stays as it is: other threads, and calls inside this one, may use
    it or other views of it at the same time.

    Args:
        module: Any module.
        replacements: By attribute name: methods (called without ``self``) or children
            of the view.
    """
    view = object.__new__(type(module))
    vars(view).update(vars(module))
    # A compiled module would call its own forward, not that of the view.
    vars(view).update(replacements, _compiled_call_impl=None)
    return view


def view_with(module: nn.Module, swaps: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """Return a view of a module in which modules below it are others.

    Args:
        module: Any module.
        swaps: By module, what takes its place wherever it is a child.

    Returns:
        The module itself where nothing below it is replaced.
    """
    return _swap_children(module, swaps, {})


def _swap_children(
    module: nn.Module,
    swaps: Mapping[nn.Module, nn.Module],
    done: dict[nn.Module, nn.Module],
) -> nn.Module:
    if module not in done:
        children = dict(module._modules)
        for name, child in children.items():
            if child in swaps:
                children[name] = swaps[child]
            elif child is not None:
                children[name] = _swap_children(child, swaps, done)
        is_same = all(children[name] is c for name, c in module._modules.items())
        done[module] = module if is_same else view_of(module, _modules=children)
    return done[module]
