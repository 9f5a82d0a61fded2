"""A head in two parts: up to the inputs of its last learned layers, and from there on.

Both parts run the head's own ``forward``, in a view whose layers are others. In the
second part the layers of the first are skipped: they return tensors without data, on
torch's meta device, so that the code between layers costs nothing.

Shapes: N images, C channels, h, w a map.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from .last_layers import LastLayers
from .nested import leaves_of, replace_leaves
from .views import view_of, view_with


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

    def of_batch(value: Any) -> Any:
        # frames of several streams may run as one batch, or one of a batch alone
        is_map = isinstance(value, Tensor) and value.ndim > 1
        return value.new_empty(len(maps[0]), *value.shape[1:]) if is_map else value

    def last(name: str, module: nn.Module) -> Callable[..., Any]:
        def forward(*_: Any) -> Any:
            return module.forward(*map(get, next_of(record.inputs, name)))

        return forward

    def kept(name: str, module: nn.Module) -> Callable[..., Any]:
        # a copy, as code behind it may work in place
        return lambda *_, **__: get(next_of(record.outputs, name)).clone()

    def skipped(name: str, module: nn.Module) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            output = of_batch(next_of(record.shapes, name))
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
    return view_with(head, swaps).forward(replace_leaves(record.entry, of_batch))


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
