"""Where N_feat ends: a number of layers in N_task, or a stage (paper Sec. 5, Tab. 5).

Shapes: N images, H, W image, C channels, h, w a map.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models import necks as mmdet_necks
from mmseg.models import necks as mmseg_necks
from mmseg.models.decode_heads import FCNHead
from torch import Tensor, nn

from dff.models.rfcn.detector import RFCN
from dff.models.rfcn.neck import DilatedNeck

from .staged_backbone import StagedBackbone

HEAD_LAYERS = 1  # sibling 1x1 layers count as one, as in the paper
# These necks read nothing before their `start_level`.
PYRAMIDS = (
    mmdet_necks.FPN.forward,
    mmdet_necks.PAFPN.forward,
    mmseg_necks.FPN.forward,
)


@dataclass(frozen=True)
class InsideBackbone:
    """N_feat ends in the backbone, behind a block.

    What is propagated is the map there and, before it, the outputs of earlier stages
    that somebody reads.

    Attributes:
        stage: Index of the stage.
        blocks: How many of its blocks N_feat runs; None is all.
    """

    stage: int
    blocks: int | None = None

    def head(
        self, model: nn.Module, images: Tensor, read: Collection[int]
    ) -> tuple[Tensor | None, ...]:
        """Run N_feat on images (N, 3, H, W).

        Args:
            model: Image model.
            images: As it gets them.
            read: Which of the backbone's outputs (their places) somebody reads.

        Returns:
            Outputs before the split, None in the place of one that nobody reads, and
            the map at the split.
        """
        backbone = StagedBackbone(model.backbone)
        x, outputs = backbone.stem(images), []
        for stage in range(self.stage):
            x = backbone.run(x, stage)
            if stage in backbone.outputs:
                outputs.append(x if len(outputs) in read else None)
        return (*outputs, backbone.run(x, self.stage, stop=self.blocks))

    def tail(self, model: nn.Module, feats: Sequence[Tensor | None]) -> Any:
        """Run the rest of the backbone and the neck, as ``extract_feat`` does."""
        backbone = StagedBackbone(model.backbone)
        *outputs, x = feats
        if self.blocks is not None:
            x = backbone.run(x, self.stage, start=self.blocks)
        for stage in range(self.stage, backbone.last + 1):
            if stage > self.stage:
                x = backbone.run(x, stage)
            if stage in backbone.outputs:
                outputs.append(x)
        found = backbone.as_output(outputs)
        with _replaced(model.backbone, forward=lambda _: found):
            return model.extract_feat(None)

    def at_hand(self, model: nn.Module) -> AbstractContextManager:
        """Give the context in which the heads work on features."""
        return nullcontext()


@dataclass(frozen=True)
class BehindScores:
    """N_feat ends behind the 1x1 layers; the score maps are propagated as one map.

    For R-FCN these are object scores and boxes of the RPN, class and box maps of the
    detection branch, in this order; for segmentation the class scores.
    """

    def head(
        self, model: nn.Module, images: Tensor, read: Collection[int]
    ) -> tuple[Tensor]:
        """Run N_feat; see :meth:`InsideBackbone.head`."""
        return (self.scores(model, model.extract_feat(images)),)

    def scores(self, model: nn.Module, feats: Sequence[Tensor]) -> Tensor:
        """Run the 1x1 layers on what ``extract_feat`` gives; (N, C, h, w)."""
        if not isinstance(model, RFCN):
            return model.decode_head(feats)
        maps = [
            *model.rpn_head.forward_single(feats[0]),
            *model.roi_head.score_maps(feats),
        ]
        return torch.cat(maps, dim=1)

    def tail(self, model: nn.Module, feats: Sequence[Tensor]) -> Sequence[Tensor]:
        """Leave the scores to the heads, which are ``at_hand``."""
        return feats

    @contextmanager
    def at_hand(self, model: nn.Module) -> Iterator[None]:
        """Let the heads take their inputs as their scores."""
        if not isinstance(model, RFCN):
            with _replaced(model.decode_head, forward=lambda feats: feats[0]):
                yield
            return
        rpn, roi = model.rpn_head, model.roi_head
        layers = [rpn.rpn_cls, rpn.rpn_reg, roi.rfcn_cls, roi.rfcn_reg]
        widths = [layer.out_channels for layer in layers]

        def forward_single(x: Tensor) -> tuple[Tensor, ...]:
            return x.split(widths, dim=1)[:2]

        def score_maps(x: Sequence[Tensor]) -> tuple[Tensor, ...]:
            return x[0].split(widths, dim=1)[2:]

        with (
            _replaced(rpn, forward_single=forward_single),
            _replaced(roi, score_maps=score_maps),
        ):
            yield


Place = InsideBackbone | BehindScores


def find_split(model: nn.Module, split: int | str | None) -> Place | None:
    """Find the place of a split.

    Args:
        model: Image model.
        split: Number of layers with weights in N_task, for models of the paper's
            form: 1x1 score layers on one map (``RFCN``, or ``FCNHead`` with
            ``num_convs=0`` and without auxiliary heads), before them a
            ``DilatedNeck``, before it a chain of blocks. Or the name of the
            backbone's stage that N_feat ends with (``'layer3'``), for any model whose
            backbone is such a chain.

    Returns:
        None for the end of ``extract_feat``.

    Raises:
        TypeError: If ``split`` is neither.
        ValueError: If the model has no such place; names those it has.
    """
    if split is None:
        return None
    if isinstance(split, str):
        backbone = StagedBackbone(model.backbone)
        names = backbone.names[: backbone.last + 1]
        if split not in names:
            raise ValueError(
                f'split must be a stage of {type(model.backbone).__name__} that its '
                f'outputs need, one of {names}, or a number of layers, got {split!r}'
            )
        return InsideBackbone(names.index(split))
    if isinstance(split, bool) or not isinstance(split, int):
        raise TypeError(
            'split must be a number of layers or the name of a stage, got '
            f'{split!r} ({type(split).__name__})'
        )
    places = numbered_splits(model)
    if split not in places:
        raise ValueError(
            f'split must leave whole blocks on both sides; N_task of '
            f'{type(model).__name__} with {type(model.backbone).__name__} can have '
            f'{sorted(places)} layers, got {split}'
        )
    return places[split]


def numbered_splits(model: nn.Module) -> Mapping[int, Place | None]:
    """Give every place at which a model of the paper's form can be split.

    Returns:
        By the number of layers with weights in N_task, shortcuts with weights
        included; None is the end of ``extract_feat``.

    Raises:
        ValueError: If the model is not of the paper's form.
    """
    neck = getattr(model, 'neck', None)
    if not _has_score_layers(model) or not isinstance(neck, DilatedNeck | None):
        raise ValueError(
            'a split by a number of layers needs a model of the paper (RFCN, or '
            'EncoderDecoder with FCNHead of num_convs=0, concat_input=False and no '
            f'auxiliary head; DilatedNeck as neck), got {_describe(model)}; give the '
            'name of a stage of its backbone instead'
        )
    places: dict[int, Place | None] = {0: BehindScores(), HEAD_LAYERS: None}
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


def read_by_neck(neck: nn.Module | None, count: int) -> range:
    """Tell which of the ``count`` outputs of the backbone (their places) a neck reads.

    Without a neck, and with one that is not known, it is all of them.
    """
    if isinstance(neck, DilatedNeck):
        return range(count - 1, count)
    is_pyramid = getattr(type(neck), 'forward', None) in PYRAMIDS
    return range(neck.start_level if is_pyramid else 0, count)


def num_layers(module: nn.Module) -> int:
    """Count the layers with weights (convolutions, linear layers) of a module."""
    return sum(parameter.ndim > 1 for parameter in module.parameters())


def _has_score_layers(model: nn.Module) -> bool:
    if isinstance(model, RFCN):
        return True
    head = getattr(model, 'decode_head', None)
    return (
        getattr(type(head), 'forward', None) is FCNHead.forward
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


@contextmanager
def _replaced(module: nn.Module, **methods: Any) -> Iterator[None]:
    """Let methods of one module be others for a while."""
    vars(module).update(methods)
    try:
        yield
    finally:
        for name in methods:
            del vars(module)[name]
