"""Find the split point that a config names: where N_feat ends.

The paper keeps one layer behind the propagation (Sec. 4) and finds that the place
hardly matters for accuracy (Tab. 5). ``'last'`` and ``'scores'`` do the same for stock
models, whose whole heads would otherwise run on every frame.
"""

import torch
from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
from mmdet.models.detectors.base_detr import DetectionTransformer
from mmengine.logging import print_log
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import CascadeEncoderDecoder, EncoderDecoder
from torch import Tensor, nn

from dff.models.rfcn.detector import RFCN

from .detector_splits import BehindDenseHead, BehindEncoder, BehindRPN
from .feats import Feats, Wanted
from .fit_flow import NAMED_SPLITS, PROBE_SIDE, in_eval_mode
from .paper_splits import InsideBackbone, SplitPoint, has_score_layers, numbered_splits
from .segmentor_splits import AtClassifier, BehindPixelDecoder, heads_in
from .staged_backbone import StagedBackbone
from .views import view_of

TAPS = 4  # multiply-adds per warped value, bilinear


def find_split(model: nn.Module, split: int | str | None) -> SplitPoint | None:
    """Find the split point that a config names.

    Args:
        model: Image model.
        split: One of

            - ``'backbone'`` or None: the end of ``extract_feat``;
            - ``'last'``: in front of the last learned layers;
            - ``'scores'``: behind them;
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


def late_splits(model: nn.Module) -> dict[str, SplitPoint]:
    """Return the split points of a model behind ``extract_feat``, by name.

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
        return _both(BehindRPN()) if model.with_rpn else {}
    if isinstance(model, SingleStageDetector):
        return {'scores': BehindDenseHead()}
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
    splits: dict[str, SplitPoint] = {'scores': AtClassifier(is_behind=True)}
    if _end_in_classifier(model):
        splits['last'] = AtClassifier(is_behind=False)
    return splits


def _both(split_point: SplitPoint) -> dict[str, SplitPoint]:
    return {'last': split_point, 'scores': split_point}


def _find_named(model: nn.Module, name: str) -> SplitPoint | None:
    """Find ``'backbone'``, ``'last'``, ``'scores'`` or ``'auto'``.

    Returns:
        None for the end of ``extract_feat``.

    Raises:
        ValueError: If the model has no such split point; says which it has.
    """
    if name == 'backbone' or (name == 'auto' and _is_of_the_paper(model)):
        return None
    splits, refusals = {}, []
    for key, split_point in late_splits(model).items():
        reason = _refusal(model, split_point)
        if reason is None:
            splits[key] = split_point
        else:
            refusals.append(f'{key!r}: {reason}')
    if name in splits:
        return splits[name]
    why = '; '.join(refusals) or 'its head is of no known form'
    if name == 'auto' and splits:
        return min(splits.values(), key=lambda split: _cost(model, split))
    if name == 'auto':
        print_log(
            f'{type(model).__name__} is split at the end of extract_feat, so that its '
            f'whole head runs on every frame ({why})',
            'current',
        )
        return None
    raise ValueError(
        f'split {name!r} is not possible for {type(model).__name__}, which has '
        f'{["backbone", *splits]} ({why})'
    )


def _is_of_the_paper(model: nn.Module) -> bool:
    """Return whether N_task is one layer of weights at the end of ``extract_feat``."""
    return hasattr(model, 'backbone') and has_score_layers(model)


def _end_in_classifier(model: nn.Module) -> bool:
    """Try whether all heads return what ``cls_seg`` returns, in both modes."""
    for head in heads_in(model):
        if type(head).cls_seg is not BaseDecodeHead.cls_seg:
            return False
    return all(_classifier_is_last(model, training=mode) for mode in (False, True))


def _classifier_is_last(model: nn.Module, *, training: bool) -> bool:
    backbone = view_of(model.backbone, training=training)
    try:
        with torch.no_grad(), in_eval_mode(model):
            outputs = view_of(model, backbone=backbone).extract_feat(_probe(model))
            for head in heads_in(model):
                marks: list[Tensor] = []

                def classify(feat: Tensor, marks=marks, head=head) -> Tensor:
                    marks.append(head.cls_seg(feat))
                    return marks[-1]

                view = view_of(head, cls_seg=classify, training=training)
                result = view.forward(outputs)
                if not marks or result is not marks[-1]:
                    return False
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):
        return False
    return True


def _refusal(model: nn.Module, split_point: SplitPoint) -> str | None:
    """Return why a model cannot be split there, None if it can."""
    try:
        _run_head(model, split_point)
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        return f'{type(error).__name__}: {error}'
    return None


def _run_head(
    model: nn.Module, split_point: SplitPoint, *, training: bool = True
) -> Feats:
    with torch.no_grad(), in_eval_mode(model):
        return split_point.head(model, _probe(model), Wanted(training, _unknown))


def _probe(model: nn.Module) -> Tensor:
    return next(model.parameters()).new_zeros(1, 3, PROBE_SIDE, PROBE_SIDE)


def _cost(model: nn.Module, split_point: SplitPoint) -> float:
    """Count what a propagated frame costs: warped values and the classifier."""
    feats = _run_head(model, split_point, training=False)
    cost = TAPS * sum(feat.numel() for feat in feats.maps.values())
    if isinstance(split_point, AtClassifier) and not split_point.is_behind:
        (feat,) = feats.maps.values()
        cost += model.decode_head.conv_seg.weight.numel() * feat[0, 0].numel()
    return cost


def _unknown(*, training: bool) -> range:
    return range(0)
