"""Shallow copies of modules in which a few methods or children are others."""

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
