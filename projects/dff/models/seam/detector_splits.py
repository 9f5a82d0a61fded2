"""Split points of stock detectors: behind dense heads, the RPN, or the encoder.

Shapes: N images, H, W image, C channels, h, w a map.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from .feats import Feats, Wanted
from .last_layers import ByMode
from .nested import divide, merge, pack, pack_parts, unpack, unpack_parts
from .probe import Probe
from .two_parts import multiply_adds, run_after, run_before
from .views import view_of


@dataclass(frozen=True)
class BehindDenseHead:
    """N_feat ends behind the convolutions of a one-stage head.

    Its raw output is propagated: scores, box deltas, objectness. Deltas are relative to
    their own cell; a cell that moves with the flow takes its box along, which is right
    as long as the motion is the same over the box (to first order).

    Attributes:
        extra: Places of outputs that the head has in training only (VFNet).
    """

    extra: tuple[int, ...] = ()

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        outputs = model.bbox_head(model.extract_feat(images))
        size = images.shape[-2:]
        if not self.extra:
            return pack(outputs, size).filled_with_mean()
        extra = self.extra if model.bbox_head.training else ()
        read, trained = divide(outputs, extra)
        return pack_parts(dict(read=read, trained=trained), size).filled_with_mean()

    def tail(self, model: nn.Module, feats: Feats) -> Any:
        """Return the raw output of the head."""
        if not self.extra:
            return unpack(feats)
        parts = unpack_parts(feats)
        return merge(parts['read'], parts['trained'])

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view of the model whose head takes its input as its raw output."""
        head = view_of(model.bbox_head, forward=lambda outputs: outputs)
        return view_of(model, bbox_head=head)


@dataclass(frozen=True)
class BeforeLastLayers:
    """N_feat ends in front of the last learned layers of a one-stage head.

    The outputs of its towers are propagated. As with :class:`BehindDenseHead`, boxes
    move with their cells.

    Attributes:
        layers: The last layers in eval mode, and those in training.
    """

    layers: ByMode

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        layers = self.layers[model.bbox_head.training]
        maps, record = run_before(model.bbox_head, layers, model.extract_feat(images))
        feats = pack(maps, images.shape[-2:])
        return replace(feats, form=(feats.form, record))

    def tail(self, model: nn.Module, feats: Feats) -> Any:
        """Return the maps, and how the last layers read them."""
        form, record = feats.form
        return unpack(replace(feats, form=form)), record

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view of the model whose head starts at its last layers."""
        head, layers = model.bbox_head, self.layers[model.bbox_head.training]
        view = view_of(head, forward=lambda given: run_after(head, layers, *given))
        return view_of(model, bbox_head=view)

    def multiply_adds(self, model: nn.Module, feats: Feats) -> int:
        """Count the multiply-adds of the last layers in eval mode on one image."""
        maps, record = self.tail(model, feats)
        return multiply_adds(model.bbox_head, self.layers[False], maps, record)


def behind_dense_head(probe: Probe) -> BehindDenseHead:
    """Return the split behind the head of a one-stage detector.

    Raises:
        ValueError: See :meth:`Probe.extra_outputs`.
    """
    return BehindDenseHead(probe.extra_outputs(probe.model.bbox_head))


def before_last_layers_of_detector(probe: Probe) -> BeforeLastLayers:
    """Find the last layers of a one-stage detector.

    Raises:
        ValueError: If its head cannot be run from there on.
    """
    head = probe.model.bbox_head
    return BeforeLastLayers(layers=probe.last_layers(head, probe.extract_feat()))


class RPNOutputs(tuple):
    """Feature levels for the RoI heads, with the RPN's raw output beside them."""

    rpn: Any


@dataclass(frozen=True)
class BehindRPN:
    """N_feat ends behind the RPN's convolutions and the levels that RoI heads read."""

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        levels = model.extract_feat(images)
        count = levels_of_roi_heads(model.roi_head)
        outputs = (tuple(levels[:count]), model.rpn_head(levels))
        return pack(outputs, images.shape[-2:]).filled_with_mean()

    def tail(self, model: nn.Module, feats: Feats) -> RPNOutputs:
        """Return the levels, with the RPN's raw output as an attribute."""
        levels, rpn = unpack(feats)
        outputs = RPNOutputs(levels)
        outputs.rpn = rpn
        return outputs

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view of the model whose RPN reads its raw output from ``tail``."""
        rpn = view_of(model.rpn_head, forward=lambda outputs: outputs.rpn)
        return view_of(model, rpn_head=rpn)


def levels_of_roi_heads(roi_head: nn.Module) -> int:
    """Return how many feature levels, from the finest, the RoI extractors read.

    Raises:
        ValueError: If a part of the head reads levels in another way.
    """
    extractors = [m for m in roi_head.modules() if hasattr(m, 'num_inputs')]
    if not extractors or getattr(roi_head, 'with_semantic', False):
        raise ValueError(
            f'{type(roi_head).__name__} must read features through RoI extractors only'
        )
    return max(m.num_inputs for m in extractors)


@dataclass(frozen=True)
class BehindEncoder:
    """N_feat ends behind the encoder of a DETR; its memory is propagated as maps.

    The encoder masks the padding of the key frame, the decoder that of the current one.
    """

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        levels = model.extract_feat(images)
        shapes = [tuple(level.shape[-2:]) for level in levels]
        samples = _samples_like(images, wanted.img_shapes)
        inputs, _ = model.pre_transformer(levels, samples)
        memory = model.forward_encoder(**inputs)['memory']  # (N, sum of h w, C)
        parts = memory.split([h * w for h, w in shapes], dim=1)
        maps = [
            part.transpose(1, 2).unflatten(2, shape).contiguous()  # (N, C, h, w)
            for part, shape in zip(parts, shapes, strict=True)
        ]
        return pack(maps, images.shape[-2:])

    def tail(self, model: nn.Module, feats: Feats) -> list[Tensor]:
        """Return the memory as maps."""
        return unpack(feats)

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view of the model whose encoder returns its memory."""
        memory: list[Tensor] = []

        def pre_transformer(maps: list[Tensor], samples: Any = None) -> Any:
            flat = torch.cat([feat.flatten(2) for feat in maps], dim=2)
            memory.append(flat.transpose(1, 2).contiguous())  # (N, sum of h w, C)
            return model.pre_transformer(maps, samples)

        def encoder(*_: Any, **__: Any) -> Tensor:
            return memory.pop()

        return view_of(model, pre_transformer=pre_transformer, encoder=encoder)


def _samples_like(
    images: Tensor, img_shapes: Sequence[Sequence[int]] | None
) -> list[DetDataSample]:
    """Return data samples of images, which say how much of each is padding."""
    size = tuple(images.shape[-2:])
    shapes = [size] * len(images) if img_shapes is None else img_shapes
    return [
        DetDataSample(metainfo=dict(batch_input_shape=size, img_shape=tuple(shape[:2])))
        for shape in shapes
    ]
