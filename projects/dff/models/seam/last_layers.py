"""The last learned layers of a head, found by tracing, and a head run from there on.

A layer is a module with weights of its own, such as a convolution; norms and single
factors (mmcv's ``Scale``) are none. A layer is one of the last if no other layer reads
what comes of its output. So siblings, such as those for scores and boxes, are all last.

Such a head has a part in front of its last layers (:func:`run_before`) and a part from
there on (:func:`run_after`). Both run the head's own ``forward`` in a view whose layers
are others. In the second part the layers of the first are skipped: they return tensors
without data, on torch's meta device, so that the code between layers costs nothing.

Shapes: N images, C channels, h, w a map.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .nested import leaves_of, replace_leaves
from .views import view_of, view_with


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


@dataclass(frozen=True)
class _Place:
    """Stands for a map: its place in the list of maps."""

    index: int


def _lists() -> dict[str, list]:
    return defaultdict(list)


@dataclass
class Recording:
    """What :func:`run_after` needs beside the maps.

    Attributes:
        entry: Input of the head, without data.
        inputs: By name of a last layer: arguments of each of its calls.
        outputs: By name of a kept layer: places of its outputs.
        shapes: By name of a skipped module: its outputs, without data.
    """

    entry: Any
    inputs: dict[str, list[tuple]] = field(default_factory=_lists)
    outputs: dict[str, list[_Place]] = field(default_factory=_lists)
    shapes: dict[str, list[Tensor]] = field(default_factory=_lists)

    def places(self, layers: LastLayers) -> set[int]:
        """Return which of the maps some of the layers need."""
        found = [arg for n in layers.last for call in self.inputs[n] for arg in call]
        found += [place for n in layers.kept for place in self.outputs[n]]
        return {place.index for place in found if isinstance(place, _Place)}


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


def check_last_layers(head: nn.Module, layers: LastLayers, feats: Any) -> None:
    """Check that a head in two parts returns what it returns as a whole.

    Raises:
        ValueError: If it does not.
    """
    with torch.no_grad():
        wanted = list(leaves_of(head.forward(replace_leaves(feats, Tensor.clone))))
        parts = run_before(head, layers, replace_leaves(feats, Tensor.clone))
        found = list(leaves_of(run_after(head, layers, *parts)))
    if len(wanted) == len(found) and all(
        not b.is_meta and torch.allclose(a, b, equal_nan=True)
        for a, b in zip(wanted, found, strict=True)
    ):
        return
    raise ValueError(
        f'{type(head).__name__} returns more than what its last layers '
        f'{list(layers.last)} return'
    )


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


def run_before(
    head: nn.Module, layers: LastLayers, feats: Any
) -> tuple[list[Tensor], Recording]:
    """Run a head up to its last layers.

    Args:
        head: The head.
        layers: Its last layers.
        feats: Its input, nested maps.

    Returns:
        The maps that are propagated, each once, and how :func:`run_after` reads them.

    Raises:
        TypeError: If a last layer reads something else than tensors and constants.
    """
    maps: list[Tensor] = []
    record = Recording(entry=replace_leaves(feats, _without_data))

    def place(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        index = next((i for i, known in enumerate(maps) if known is value), len(maps))
        if index == len(maps):
            maps.append(value)
        return _Place(index)

    def last(name: str, module: nn.Module) -> Callable[..., Any]:
        def forward(*args: Any) -> Tensor:
            record.inputs[name].append(tuple(place(arg) for arg in args))
            return _output_like(module, args)

        return forward

    def kept(name: str, module: nn.Module) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Tensor:
            output = module.forward(*args, **kwargs)
            record.outputs[name].append(place(output))
            # a copy, as code behind it may work in place
            return output.clone()

        return forward

    def skipped(name: str, module: nn.Module) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Tensor:
            output = module.forward(*args, **kwargs)
            record.shapes[name].append(_without_data(output))
            return output

        return forward

    swaps = {}
    for names, make in ((layers.kept, kept), (layers.skipped, skipped)):
        for name in names:
            module = head.get_submodule(name)
            swaps[module] = view_of(module, forward=make(name, module))
    for name in layers.last:
        module = head.get_submodule(name)
        swaps[module] = _unhooked(module, forward=last(name, module))
    view_with(head, swaps).forward(feats)
    return maps, record


def run_after(
    head: nn.Module, layers: LastLayers, maps: Sequence[Tensor], record: Recording
) -> Any:
    """Run the last layers of a head on propagated maps.

    Args:
        head: The head.
        layers: Its last layers.
        maps: As :func:`run_before` returned them, propagated.
        record: From :func:`run_before`.

    Returns:
        What ``head.forward`` returns.
    """
    count: Counter[str] = Counter()

    def next_of(calls: dict[str, list], name: str) -> Any:
        count[name] += 1
        return calls[name][count[name] - 1]

    def get(value: Any) -> Any:
        return maps[value.index] if isinstance(value, _Place) else value

    def last(name: str, module: nn.Module) -> Callable[..., Any]:
        def forward(*_: Any) -> Any:
            return module.forward(*map(get, next_of(record.inputs, name)))

        return forward

    def kept(name: str, module: nn.Module) -> Callable[..., Any]:
        # a copy, as code behind it may work in place
        return lambda *_, **__: get(next_of(record.outputs, name)).clone()

    def skipped(name: str, module: nn.Module) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            output = next_of(record.shapes, name)
            values = chain(args, kwargs.values())
            if any(isinstance(v, Tensor) and v.is_meta for v in values):
                return output
            return module(*args, **kwargs)  # behind a last layer

        return forward

    swaps = {}
    for name in layers.last:
        module = head.get_submodule(name)
        swaps[module] = view_of(module, forward=last(name, module))
    for names, make in ((layers.kept, kept), (layers.skipped, skipped)):
        for name in names:
            module = head.get_submodule(name)
            swaps[module] = _unhooked(module, forward=make(name, module))
    return view_with(head, swaps).forward(record.entry)


def multiply_adds(
    head: nn.Module, layers: LastLayers, maps: Sequence[Tensor], record: Recording
) -> int:
    """Count the multiply-adds of the last layers on maps of one image."""
    total = 0
    for name in layers.last:
        weights = sum(p.numel() for p in head.get_submodule(name).parameters())
        for first, *_ in record.inputs[name]:
            total += weights * maps[first.index][0, 0].numel()
    return total


def _unhooked(module: nn.Module, **replacements: Any) -> nn.Module:
    """Return a view of a module that does not run, so that its hooks do not either."""
    return view_of(
        module, _forward_hooks={}, _forward_pre_hooks={}, _backward_hooks={},
        _backward_pre_hooks={}, **replacements,
    )  # fmt: skip


def _without_data(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return torch.empty_like(value.detach(), device='meta')


def _output_like(module: nn.Module, args: tuple) -> Tensor:
    """Return zeros of the shape of a layer's output: N_feat does not need its values.

    A layer of another type than a convolution runs.
    """
    if not isinstance(module, nn.Conv2d):
        return module.forward(*args)
    weights = {n: _without_data(p) for n, p in module._parameters.items()}
    shape = (
        view_of(module, _parameters=weights).forward(*map(_without_data, args)).shape
    )
    return args[0].new_zeros(shape)
