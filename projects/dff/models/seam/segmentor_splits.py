"""Split points of stock segmentors: in front of or behind their last layer.

Shapes: N images, H, W image, C channels, K classes, h, w a map.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from .feats import Feats, Wanted
from .fit_flow import in_eval_mode
from .nested import pack, pack_parts, unpack, unpack_parts
from .probe import Probe
from .views import view_of


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


@dataclass(frozen=True)
class AtClassifier:
    """N_feat ends at ``cls_seg``, the last layer of mmseg's heads.

    In training the maps of the auxiliary heads are propagated, too.

    Attributes:
        is_behind: Whether N_feat ends behind it: the class scores (N, K, h, w) are
            propagated. Otherwise its input (N, C, h, w), and it is N_task.
    """

    is_behind: bool

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        outputs = model.extract_feat(images)
        parts = {}
        for name, head in _heads_of(model, training=wanted.training).items():
            run = head if self.is_behind else view_of(head, cls_seg=lambda feat: feat)
            parts[name] = run(outputs)
        feats = pack_parts(parts, images.shape[-2:])
        return feats.filled_with_mean() if self.is_behind else feats

    def tail(self, model: nn.Module, feats: Feats) -> dict[str, Any]:
        """Return the maps by head."""
        return unpack_parts(feats)

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view of the model whose heads read their maps from ``tail``."""
        views = {
            name: self._view_of_head(name, head)
            for name, head in _heads_of(model, training=model.training).items()
        }
        auxiliary = [view for name, view in views.items() if '.' in name]
        views = {name: view for name, view in views.items() if '.' not in name}
        if auxiliary:
            stack = view_of(model.auxiliary_head)
            vars(stack)['_modules'] = {str(i): v for i, v in enumerate(auxiliary)}
            views['auxiliary_head'] = stack
        return view_of(model, **views)

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


def before_classifier(probe: Probe) -> AtClassifier:
    """Return the split in front of ``cls_seg``.

    Raises:
        ValueError: If a head does other things behind it, in one of the modes.
    """
    for training in (False, True):
        outputs = probe.extract_feat(training=training)
        for head in heads_in(probe.model):
            if not _ends_in_classifier(head, outputs, training=training):
                raise ValueError(
                    f'{type(head).__name__} does not return what its cls_seg returns'
                )
    return AtClassifier(is_behind=False)


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
