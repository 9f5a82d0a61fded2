"""Set the strides and scale channels of a flow network from the maps it serves."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from itertools import chain
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import nn

from .feature_seam import FeatureSeam
from .nested import stride_of
from .views import view_of

NAMED_SPLITS = ('backbone', 'last', 'scores', 'auto')
PROBE_SIDE = 256  # pixels; a multiple of every stride, two cells of the coarsest


def probe_size(model: nn.Module) -> tuple[int, int]:
    """Return the size (H, W) of an image on which a model can be tried.

    SSD takes images of one size, at which its coarsest map is one cell.
    """
    anchors = getattr(getattr(model, 'bbox_head', None), 'prior_generator', None)
    strides = chain([(PROBE_SIDE, PROBE_SIDE)], getattr(anchors, 'strides', ()))
    width, height = (max(sides) for sides in zip(*strides, strict=True))
    return height, width


def needs_fit(propagation: dict | nn.Module) -> bool:
    """Return whether a flow network without weights leaves its strides open."""
    if not isinstance(propagation, dict):
        return False
    flow = propagation.get('flow_estimator')
    if not isinstance(flow, dict) or 'strides' in flow or 'type' not in flow:
        return False
    takes = _parameters(flow['type'])
    return 'strides' in takes and 'scale_channels' not in takes


def fit_flow(
    propagation: dict | nn.Module, seam: FeatureSeam, *, split: int | str
) -> dict | nn.Module:
    """Set ``strides`` and ``scale_channels`` of a propagation's flow network.

    A network without a scale (``scale_channels=None``) stays one. Modules are left as
    they are, and so are networks that take neither.

    Args:
        propagation: Config of :class:`FeaturePropagation`, or a module.
        seam: Of the image model.
        split: As in the config. At ``'backbone'``, ``'last'``, ``'scores'`` and
            ``'auto'`` strides that the network names must be the right ones.

    Raises:
        ValueError: If the network names other strides than the maps have, or a map is
            no grid, see :func:`stride_of`.
    """
    if not isinstance(propagation, dict):
        return propagation
    flow = propagation.get('flow_estimator')
    if not isinstance(flow, dict) or 'type' not in flow:
        return propagation  # the registry says what is missing
    strides, channels = measure_maps(seam)
    fitted: dict[str, Any] = dict(flow)
    takes = _parameters(flow['type'])
    if split in NAMED_SPLITS and list(flow.get('strides', strides)) != strides:
        raise ValueError(
            f'{flow["type"]} names the strides {tuple(flow["strides"])}, but the maps '
            f'propagated at split {split!r} have the strides {tuple(strides)}'
        )
    if 'strides' in takes:
        fitted['strides'] = strides
    if 'scale_channels' in takes and flow.get('scale_channels', channels) is not None:
        fitted['scale_channels'] = channels
    return {**propagation, 'flow_estimator': fitted}


def measure_maps(seam: FeatureSeam) -> tuple[list[int], list[int]]:
    """Run N_feat once on a small image.

    Returns:
        Stride and channels of each level that is propagated in training.

    Raises:
        ValueError: If a map is no grid, see :func:`stride_of`.
    """
    model = seam.model
    image = next(model.parameters()).new_zeros(1, 3, *probe_size(model))
    with torch.no_grad(), in_eval_mode(model):
        # some backbones and heads return more in training (PIDNet, VFNet)
        parts = {n: view_of(m, training=True) for n, m in _parts_of(model)}
        seam = copy(seam)
        seam.model = view_of(model, **parts)
        feats = seam.head(image, training=True)
    maps = [feats.maps[level] for level in sorted(feats.maps)]
    return [stride_of(m, image.shape[-2:]) for m in maps], [m.shape[1] for m in maps]


def _parts_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    names = ('backbone', 'bbox_head', 'decode_head')
    return [(name, part) for name, part in model.named_children() if name in names]


def _parameters(kind: str | type) -> Sequence[str]:
    cls = MODELS.get(kind) if isinstance(kind, str) else kind
    return () if cls is None else tuple(inspect.signature(cls).parameters)


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Put every module in eval mode, bypassing ``train()`` overrides."""
    modes = [(module, module.training) for module in model.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
