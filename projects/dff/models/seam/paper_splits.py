"""Where N_feat ends: a number of layers in N_task, or a stage (paper Sec. 5, Tab. 5).

Shapes: N images, H, W image, C channels, h, w a map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from mmdet.models import necks as mmdet_necks
from mmseg.models import necks as mmseg_necks
from mmseg.models.decode_heads import FCNHead
from torch import Tensor, nn

from dff.models.rfcn.detector import RFCN
from dff.models.rfcn.neck import DilatedNeck

from .feats import Feats, Wanted
from .staged_backbone import StagedBackbone
from .views import view_of

HEAD_LAYERS = 1  # sibling 1x1 layers count as one, as in the paper
# These necks read nothing before their `start_level`.
PYRAMIDS = (
    mmdet_necks.FPN.forward,
    mmdet_necks.PAFPN.forward,
    mmseg_necks.FPN.forward,
)


class SplitPoint(Protocol):
    """A place where N_feat ends."""

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat on images (N, 3, H, W).

        Args:
            model: Image model.
            images: As the model gets them.
            wanted: Which maps to return.
        """

    def tail(self, model: nn.Module, feats: Feats) -> Any:
        """Return what the heads of ``view`` expect from ``extract_feat``."""

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view of the model whose heads accept what ``tail`` returns."""


@dataclass(frozen=True)
class InsideBackbone:
    """N_feat ends in the backbone, behind a block.

    The map there is propagated, and before it the outputs of earlier stages that are
    read.

    Attributes:
        stage: Index of the stage.
        blocks: How many of its blocks N_feat runs; None is all.
    """

    stage: int
    blocks: int | None = None

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        backbone = StagedBackbone(model.backbone)
        x, outputs = backbone.stem(images), []
        for stage in range(self.stage):
            x = backbone.run(x, stage)
            if stage in backbone.outputs:
                outputs.append(x)
        before = [
            i for i in range(len(outputs)) if i in wanted.outputs_read(training=True)
        ]
        read = wanted.outputs_read(training=wanted.training)
        maps = {n: outputs[i] for n, i in enumerate(before) if i in read}
        maps[len(before)] = backbone.run(x, self.stage, stop=self.blocks)
        form = (len(outputs), before)
        return Feats(maps, num_levels=len(before) + 1, form=form)

    def tail(self, model: nn.Module, feats: Feats) -> Any:
        """Run the rest of the backbone and the neck, as ``extract_feat`` does."""
        backbone = StagedBackbone(model.backbone)
        count, before = feats.form
        outputs: list[Any] = [None] * count
        for level, index in enumerate(before):
            outputs[index] = feats.maps.get(level)
        x = feats.maps[len(before)]
        if self.blocks is not None:
            x = backbone.run(x, self.stage, start=self.blocks)
        for stage in range(self.stage, backbone.last + 1):
            if stage > self.stage:
                x = backbone.run(x, stage)
            if stage in backbone.outputs:
                outputs.append(x)
        result = backbone.as_output(outputs)
        return view_of(model, backbone=lambda _: result).extract_feat(None)

    def view(self, model: nn.Module) -> nn.Module:
        """Return the model: its heads read what ``extract_feat`` returns."""
        return model


@dataclass(frozen=True)
class BehindScores:
    """N_feat ends behind the 1x1 layers; the score maps are propagated as one map.

    For R-FCN these are object scores and boxes of the RPN, class and box maps of the
    detection branch, in this order; for segmentation the class scores.
    """

    def head(self, model: nn.Module, images: Tensor, wanted: Wanted) -> Feats:
        """Run N_feat; see :meth:`SplitPoint.head`."""
        return Feats({0: self.scores(model, model.extract_feat(images))}, num_levels=1)

    def scores(self, model: nn.Module, feats: Sequence[Tensor]) -> Tensor:
        """Run the 1x1 layers on the output of ``extract_feat``; (N, C, h, w)."""
        if not isinstance(model, RFCN):
            return model.decode_head(feats)
        maps = [
            *model.rpn_head.forward_single(feats[0]),
            *model.roi_head.score_maps(feats),
        ]
        return torch.cat(maps, dim=1)

    def tail(self, model: nn.Module, feats: Feats) -> Sequence[Tensor]:
        """Return the scores in the place of the features; see ``view``."""
        return (feats.maps[0],)

    def view(self, model: nn.Module) -> nn.Module:
        """Return a view of the model whose heads take their inputs as scores."""
        if not isinstance(model, RFCN):
            head = view_of(model.decode_head, forward=lambda feats: feats[0])
            return view_of(model, decode_head=head)
        rpn, roi = model.rpn_head, model.roi_head
        layers = [rpn.rpn_cls, rpn.rpn_reg, roi.rfcn_cls, roi.rfcn_reg]
        widths = [layer.out_channels for layer in layers]

        def split_rpn(x: Tensor) -> tuple[Tensor, ...]:
            return x.split(widths, dim=1)[:2]

        def split_rfcn(x: Sequence[Tensor]) -> tuple[Tensor, ...]:
            return x[0].split(widths, dim=1)[2:]

        return view_of(
            model,
            rpn_head=view_of(rpn, forward_single=split_rpn),
            roi_head=view_of(roi, score_maps=split_rfcn),
        )


def numbered_splits(model: nn.Module) -> Mapping[int, SplitPoint | None]:
    """Return every split point of a model of the paper's form.

    Returns:
        Split points by the number of layers with weights in N_task, shortcuts with
        weights included; None is the end of ``extract_feat``.

    Raises:
        ValueError: If the model is not of the paper's form.
    """
    neck = getattr(model, 'neck', None)
    if not has_score_layers(model) or not isinstance(neck, DilatedNeck | None):
        raise ValueError(
            'a split by a number of layers needs a model of the paper (RFCN, or '
            'EncoderDecoder with FCNHead of num_convs=0, concat_input=False and no '
            f'auxiliary head; DilatedNeck as neck), got {_describe(model)}; give the '
            'name of a stage of its backbone instead'
        )
    places: dict[int, SplitPoint | None] = {0: BehindScores(), HEAD_LAYERS: None}
    backbone, count = StagedBackbone(model.backbone), HEAD_LAYERS
    if neck is not None:
        count += num_layers(neck)
        places[count] = InsideBackbone(backbone.last)
    for stage in reversed(range(backbone.last + 1)):
        blocks = backbone.blocks(stage)
        for index in reversed(range(len(blocks))):
            count += num_layers(blocks[index])
            if index:
                places[count] = InsideBackbone(stage, index)
            elif stage:
                places[count] = InsideBackbone(stage - 1)
    return places


def outputs_read_by_neck(neck: nn.Module | None, count: int) -> range:
    """Return which outputs of the backbone (their indices, of ``count``) a neck reads.

    These are all outputs where there is no neck, or one that is not known.
    """
    if isinstance(neck, DilatedNeck):
        return range(count - 1, count)
    if neck is not None and type(neck).forward in PYRAMIDS:
        return range(neck.start_level, count)
    return range(count)


def num_layers(module: nn.Module) -> int:
    """Count the layers with weights (convolutions, linear layers) of a module."""
    return sum(parameter.ndim > 1 for parameter in module.parameters())


def has_score_layers(model: nn.Module) -> bool:
    """Return whether N_task of the paper, 1x1 layers on one map, is all of the head."""
    if isinstance(model, RFCN):
        return True
    head = getattr(model, 'decode_head', None)
    return (
        head is not None
        and getattr(type(head), 'forward', None) is FCNHead.forward
        and not head.num_convs
        and not head.concat_input
        and not model.with_auxiliary_head
    )


def _describe(model: nn.Module) -> str:
    parts = [type(model).__name__]
    for name in ('neck', 'decode_head', 'auxiliary_head', 'bbox_head', 'roi_head'):
        part = getattr(model, name, None)
        if part is not None:
            parts.append(f'{name} {type(part).__name__}')
    return ', '.join(parts)
