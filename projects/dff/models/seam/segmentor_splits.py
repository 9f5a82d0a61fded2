"""Split points of stock segmentors: in front of or behind their last layer.

Shapes: N images, H, W image, C channels, K classes, h, w a map.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from .feats import Feats, Wanted
from .fit_flow import in_eval_mode
from .last_layers import ByMode
from .nested import divide, merge, pack, pack_parts, unpack, unpack_parts
from .probe import Probe
from .two_parts import multiply_adds, run_after, run_before
from .views import view_of

TRAINED = ' in training'  # behind the name of a head


def _heads_of(model: nn.Module, *, training: bool) -> dict[str, nn.Module]:
    """Return the heads that run, by the name of their attribute and index."""
    heads = {'decode_head': model.decode_head}
    if training and model.with_auxiliary_head:
        auxiliary = model.auxiliary_head
        if isinstance(auxiliary, nn.ModuleList):
            heads.update({f'auxiliary_head.{i}': h for i, h in enumerate(auxiliary)})
        else:
            heads['auxiliary_head'] = auxiliary
    return heads


def _with_heads(
    model: nn.Module, view_of_head: Callable[[str, nn.Module], nn.Module]
) -> nn.Module:
    """Return a view of a segmentor with views of the heads that run in its mode."""
    views = {
        name: view_of_head(name, head)
        for name, head in _heads_of(model, training=model.training).items()
    }
    auxiliary = {n.partition('.')[2]: v for n, v in views.items() if '.' in n}
    views = {name: view for name, view in views.items() if '.' not in name}
    if auxiliary:
        views['auxiliary_head'] = view_of(model.auxiliary_head, _modules=auxiliary)
    return view_of(model, **views)


def _pack(
    parts: Mapping[str, Any], extra: Mapping[str, Collection[int]], size: Sequence[int]
) -> Feats:
    """Pack the maps of heads; ``extra`` has places of those of training only.

    These have levels of their own, so that the levels of prediction are the same in
    training.
    """
    divided = {}
    for name, outputs in parts.items():
        read, trained = divide(outputs, extra.get(name, ()))
        divided.update({name: read, name + TRAINED: trained})
    return pack_parts(divided, size)


def _unpack(feats: Feats) -> dict[str, Any]:
    """Return the maps of :func:`_pack` by head."""
    parts = unpack_parts(feats)
    return {
        name: merge(part, parts[name + TRAINED])
        for name, part in parts.items()
        if not name.endswith(TRAINED)
    }


@dataclass(frozen=True)
class AtClassifier:
    """N_feat ends at ``cls_seg``, the last layer of mmseg's heads.

    In training the maps of the auxiliary heads are propagated, too.

    Attributes:
        is_behind: Whether N_feat ends behind it: the class scores (N, K, h, w) are
            propagated. Otherwise its input (N, C, h, w), and it is N_task.
        extra: By name of a head: places of outputs that it has in training only
            (PIDNet, DDRNet).
    """

    is_behind: bool
    extra: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        outputs = model.extract_feat(images)
        parts, extra = {}, {}
        for name, head in _heads_of(model, training=wanted.training).items():
            run = head if self.is_behind else view_of(head, cls_seg=lambda feat: feat)
            parts[name] = run(outputs)
            extra[name] = self.extra.get(name, ()) if head.training else ()
        feats = _pack(parts, extra, images.shape[-2:])
        return feats.filled_with_mean() if self.is_behind else feats

    def tail(self, model: nn.Module, feats: Feats) -> dict[str, Any]:
        """Return the maps by head."""
        return _unpack(feats)

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view of the model whose heads read their maps from ``tail``."""
        return _with_heads(model, self._view_of_head)

    def multiply_adds(self, model: nn.Module, feats: Feats) -> int:
        """Count the multiply-adds of the classifier on one image."""
        if self.is_behind:
            return 0
        (feat,) = feats.maps.values()
        return model.decode_head.conv_seg.weight.numel() * feat[0, 0].numel()

    def _view_of_head(self, name: str, head: nn.Module) -> nn.Module:
        if self.is_behind:
            return view_of(head, forward=lambda maps: maps[name])
        return view_of(head, forward=lambda maps: head.cls_seg(maps[name]))


@dataclass(frozen=True)
class BeforeLastLayers:
    """N_feat ends in front of the last learned layers of heads of any form.

    For heads with several outputs in training (PIDNet, DDRNet).

    Attributes:
        layers: By name of a head: its last layers in eval mode and in training.
    """

    layers: Mapping[str, ByMode]

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        outputs = model.extract_feat(images)
        parts, records, extra = {}, {}, {}
        for name, head in _heads_of(model, training=wanted.training).items():
            layers = self.layers[name][head.training]
            parts[name], records[name] = run_before(head, layers, outputs)
            read = records[name].places(self.layers[name][False])
            extra[name] = set(range(len(parts[name]))) - read
        feats = _pack(parts, extra, images.shape[-2:])
        return replace(feats, form=(feats.form, records))

    def tail(self, model: nn.Module, feats: Feats) -> dict[str, Any]:
        """Return the maps by head, and how its last layers read them."""
        form, records = feats.form
        maps = _unpack(replace(feats, form=form))
        return {name: (maps[name], record) for name, record in records.items()}

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view of the model whose heads start at their last layers."""

        def view_of_head(name: str, head: nn.Module) -> nn.Module:
            layers = self.layers[name][head.training]
            return view_of(
                head, forward=lambda given: run_after(head, layers, *given[name])
            )

        return _with_heads(model, view_of_head)

    def multiply_adds(self, model: nn.Module, feats: Feats) -> int:
        """Count the multiply-adds of the last layers in eval mode on one image."""
        return sum(
            multiply_adds(model.get_submodule(name), self.layers[name][False], *given)
            for name, given in self.tail(model, feats).items()
        )


def behind_classifier(probe: Probe) -> AtClassifier:
    """Return the split behind the heads of a segmentor.

    Raises:
        ValueError: See :meth:`Probe.extra_outputs`.
    """
    heads = _heads_of(probe.model, training=True)
    extra = {name: probe.extra_outputs(head) for name, head in heads.items()}
    return AtClassifier(is_behind=True, extra=extra)


def before_last_layers_of_segmentor(probe: Probe) -> AtClassifier | BeforeLastLayers:
    """Return the split in front of the last layers, which mostly are ``cls_seg``.

    Raises:
        ValueError: If a head cannot be run from there on.
    """
    outputs = [probe.extract_feat(training=training) for training in (False, True)]
    heads = _heads_of(probe.model, training=True)
    if all(
        _ends_in_classifier(head, outputs[training], training=training)
        for head in heads.values()
        for training in (False, True)
    ):
        return AtClassifier(is_behind=False)
    return BeforeLastLayers(
        {name: probe.last_layers(head, *outputs) for name, head in heads.items()}
    )


def _ends_in_classifier(head: nn.Module, outputs: Any, *, training: bool) -> bool:
    marks: list[Tensor] = []

    def classify(feat: Tensor) -> Tensor:
        marks.append(head.cls_seg(feat))
        return marks[-1]

    with torch.no_grad(), in_eval_mode(head):
        view = view_of(head, cls_seg=classify, training=training)
        result = view.forward(outputs)
    is_stock = type(head).cls_seg is BaseDecodeHead.cls_seg
    return is_stock and bool(marks) and result is marks[-1]


@dataclass(frozen=True)
class BehindPixelDecoder:
    """N_feat ends behind the pixel decoder of MaskFormer and Mask2Former."""

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        decoder = model.decode_head.pixel_decoder
        return pack(decoder(model.extract_feat(images)), images.shape[-2:])

    def tail(self, model: nn.Module, feats: Feats) -> Any:
        """Return the maps of the pixel decoder."""
        return unpack(feats)

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view whose head takes its input as the pixel decoder's output."""
        head = view_of(model.decode_head, pixel_decoder=lambda maps, *_: maps)
        return view_of(model, decode_head=head)


def heads_in(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the decode head and the auxiliary heads of a segmentor."""
    yield from _heads_of(model, training=True).values()
