"""Find the split point that a config names: where N_feat ends.

The paper keeps one layer behind the propagation (Sec. 4) and finds that the place
hardly matters for accuracy (Tab. 5). ``'last'`` and ``'scores'`` do the same for stock
models, whose whole heads would otherwise run on every frame.
"""

import logging
from collections.abc import Callable

from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
from mmdet.models.detectors.base_detr import DetectionTransformer
from mmengine.logging import print_log
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import CascadeEncoderDecoder, EncoderDecoder
from torch import nn

from dff.models.rfcn.detector import RFCN

from .detector_splits import (
    BehindEncoder,
    BehindRPN,
    before_last_layers_of_detector,
    behind_dense_head,
)
from .fit_flow import NAMED_SPLITS
from .paper_splits import (
    BehindScores,
    InsideBackbone,
    SplitPoint,
    has_score_layers,
    numbered_splits,
)
from .probe import Probe
from .segmentor_splits import (
    BehindPixelDecoder,
    before_last_layers_of_segmentor,
    behind_classifier,
    heads_in,
)
from .staged_backbone import StagedBackbone


def find_split(model: nn.Module, split: int | str | None) -> SplitPoint | None:
    """Find the split point that a config names.

    Args:
        model: Image model.
        split: One of

            - ``'backbone'`` or None: the end of ``extract_feat``;
            - ``'last'``: in front of the last learned layers (1 layer of ``RFCN``);
            - ``'scores'``: behind them (0 layers);
            - ``'auto'``: the cheaper of these two; for models of the paper
              ``'backbone'``;
            - a number of layers with weights in N_task, for models of the paper's form:
              1x1 score layers on one map (``RFCN``, or ``FCNHead`` with ``num_convs=0``
              and without auxiliary heads), before them a ``DilatedNeck``, before it a
              chain of blocks;
            - the name of the backbone's stage that N_feat ends with (``'layer3'``), for
              any model whose backbone is such a chain.

    Returns:
        None for the end of ``extract_feat``.

    Raises:
        TypeError: If ``split`` is neither a number nor a name.
        ValueError: If the model has no such split point; names those it has.
    """
    if split is None:
        return None
    if split in NAMED_SPLITS:
        return _find_named(model, split)
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


def late_splits(model: nn.Module) -> dict[str, Callable[[Probe], SplitPoint]]:
    """Return what makes the split points of a model behind ``extract_feat``, by name.

    ``'last'`` is in front of the last learned layers, ``'scores'`` behind them. Where
    N_task has other learned layers, too (RoI heads, decoders of transformers), both
    names mean the only place there is.

    Returns:
        Empty where the model can be split at the end of ``extract_feat`` only.
    """
    if isinstance(model, RFCN):
        return {}
    if isinstance(model, DetectionTransformer):
        return _both(BehindEncoder())
    if isinstance(model, TwoStageDetector):
        has_rpn = isinstance(getattr(model, 'rpn_head', None), BaseDenseHead)
        return _both(BehindRPN()) if has_rpn else {}
    if isinstance(model, SingleStageDetector):
        return {
            'last': before_last_layers_of_detector,
            'scores': behind_dense_head,
        }
    is_plain = isinstance(model, EncoderDecoder) and not isinstance(
        model, CascadeEncoderDecoder
    )
    if not is_plain:
        return {}
    if hasattr(model.decode_head, 'pixel_decoder'):
        return _both(BehindPixelDecoder())
    heads = list(heads_in(model))
    if not all(isinstance(head, BaseDecodeHead) for head in heads):
        return {}
    return {
        'last': before_last_layers_of_segmentor,
        'scores': behind_classifier,
    }


def _both(split_point: SplitPoint) -> dict[str, Callable[[Probe], SplitPoint]]:
    return {'last': lambda _: split_point, 'scores': lambda _: split_point}


def _find_named(model: nn.Module, name: str) -> SplitPoint | None:
    """Find ``'backbone'``, ``'last'``, ``'scores'`` or ``'auto'``.

    Returns:
        None for the end of ``extract_feat``.

    Raises:
        ValueError: If the model has no such split point; says which it has.
    """
    if name == 'backbone' or (name == 'auto' and _is_of_the_paper(model)):
        return None
    if isinstance(model, RFCN) and has_score_layers(model):
        return None if name == 'last' else BehindScores()
    probe = Probe(model)
    splits: dict[str, SplitPoint] = {}
    refusals: dict[str, str] = {}
    for key, make in late_splits(model).items():
        split_point, reason = probe.attempt(make)
        if split_point is None:
            refusals[key] = reason
        else:
            splits[key] = split_point
    if name in splits:
        return splits[name]
    if name == 'auto' and splits:
        return probe.cheapest(list(splits.values()))
    why = '; '.join(dict.fromkeys(refusals.values())) or 'its head is of no known form'
    if name == 'auto':
        share = probe.share_behind_backbone()
        cost = '' if share is None else f', {share:.0%} of the multiply-adds,'
        print_log(
            f'{type(model).__name__} is split at the end of extract_feat: all that '
            f'follows{cost} runs on every frame ({why})',
            'current',
            logging.WARNING,
        )
        return None
    raise ValueError(
        f'split {name!r} is not possible for {type(model).__name__}, which has '
        f'{["backbone", *splits]} ({why})'
    )


def _is_of_the_paper(model: nn.Module) -> bool:
    """Return whether N_task is one layer of weights at the end of ``extract_feat``."""
    return hasattr(model, 'backbone') and has_score_layers(model)
