"""The last learned layers of a head, found by tracing.

A layer is a module with weights of its own, such as a convolution; norms and single
factors (mmcv's ``Scale``) are none. A layer is one of the last if no other layer reads
what comes of its output. So siblings, such as those for scores and boxes, are all last.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .nested import leaves_of, replace_leaves
from .views import view_of


@dataclass(frozen=True)
class LastLayers:
    """Names of modules in a head.

    Attributes:
        last: The last layers: their inputs are propagated, and N_task runs them.
        kept: Layers whose output another layer reads and the head returns as well:
            their outputs are propagated (VFNet's first boxes, which place the samples
            of its last but one layers).
        skipped: Other modules with parameters.
    """

    last: tuple[str, ...]
    kept: tuple[str, ...]
    skipped: tuple[str, ...]


ByMode = tuple[LastLayers, LastLayers]  # in eval mode, in training


def find_last_layers(head: nn.Module, feats: Any) -> LastLayers:
    """Find the last learned layers of a head.

    Args:
        head: Any module.
        feats: Its input, nested maps.

    Raises:
        ValueError: If the head has none.
    """
    calls: dict[Any, nn.Module] = {}  # node of the autograd graph: layer
    called: dict[nn.Module, set[nn.Module]] = {}  # and the layers that run inside
    running: list[nn.Module] = []

    def traced(module: nn.Module, view: nn.Module) -> Callable[..., Any]:
        is_layer, run = _is_layer(module), MethodType(type(module).forward, view)

        def forward(*args: Any, **kwargs: Any) -> Any:
            running.append(module)
            output = run(*args, **kwargs)
            running.pop()
            if isinstance(output, Tensor):
                called.setdefault(module, set())
                if is_layer and output.grad_fn is not None:
                    calls[output.grad_fn] = module
                    for outer in running:
                        called.setdefault(outer, set()).add(module)
            return output

        return forward

    with torch.enable_grad(), _Attached():
        feats = replace_leaves(feats, lambda t: t.clone().requires_grad_())
        outputs = _view_of_all(head, traced).forward(feats)
    roots = [t.grad_fn for t in leaves_of(outputs)]
    frontier = {calls[node] for node in _reached(roots, calls)}
    inner = [n for node in calls for n, _ in node.next_functions]
    read = {calls[node] for node in _reached(inner, calls)}
    if not frontier - read:
        raise ValueError(f'no learned layer is the last one of {type(head).__name__}')
    names = {module: name for name, module in head.named_modules()}
    return LastLayers(
        last=tuple(sorted(names[m] for m in frontier - read)),
        kept=tuple(sorted(names[m] for m in frontier & read)),
        skipped=tuple(dict.fromkeys(_skipped(head, frontier, called))),
    )


class _Attached(TorchFunctionMode):
    """Make ``detach`` return its input: what is detached is read all the same."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func in (Tensor.detach, torch.detach):
            return args[0]
        return func(*args, **(kwargs or {}))


def _is_layer(module: nn.Module) -> bool:
    return any(p.ndim > 1 for p in module.parameters(recurse=False))


def _view_of_all(
    module: nn.Module,
    traced: Callable[[nn.Module, nn.Module], Callable],
    done: dict[nn.Module, nn.Module] | None = None,
) -> nn.Module:
    """Return a view of a module in which all modules below it are traced."""
    done = {} if done is None else done
    children = dict(module._modules)
    for child in module.children():
        if child not in done:
            done[child] = _view_of_all(child, traced, done)
    for name, child in children.items():
        children[name] = None if child is None else done[child]
    view = view_of(module, _modules=children)
    if not isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        vars(view)['forward'] = traced(module, view)
    return view


def _reached(starts: Iterable[Any], stops: dict[Any, nn.Module]) -> set[Any]:
    """Walk back through the autograd graph up to the nodes ``stops``; return those."""
    todo, seen, found = [n for n in starts if n is not None], set(), set()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in stops:
            found.add(node)
        else:
            todo += [n for n, _ in node.next_functions if n is not None]
    return found


def _skipped(
    module: nn.Module,
    frontier: set[nn.Module],
    called: Mapping[nn.Module, set[nn.Module]],
    prefix: str = '',
) -> Iterator[str]:
    """Yield names of the largest modules with parameters and no frontier layer.

    A layer that a module holds counts, and so does one that it only calls (PIDNet).
    """
    for name, child in module.named_children():
        if child in frontier or next(child.parameters(), None) is None:
            continue
        if child in called and not frontier & {*child.modules(), *called[child]}:
            yield prefix + name
        else:
            yield from _skipped(child, frontier, called, f'{prefix}{name}.')
