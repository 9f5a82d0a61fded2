"""Give a flow network the strides and scale channels of the maps it serves."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import nn

from .feature_seam import FeatureSeam

PROBE_SIDE = 128  # pixels; a multiple of every stride


def fit_flow(propagation: dict | nn.Module, seam: FeatureSeam) -> dict | nn.Module:
    """Set ``strides`` and ``scale_channels`` of a propagation's flow network.

    A network without a scale (``scale_channels=None``) stays one. Modules are left as
    they are, and so are networks that take neither.

    Args:
        propagation: Config of :class:`FeaturePropagation`, or a module.
        seam: Of the image model.
    """
    if not isinstance(propagation, dict):
        return propagation
    flow = propagation.get('flow_estimator')
    if not isinstance(flow, dict):
        return propagation
    strides, channels = measure_maps(seam)
    fitted: dict[str, Any] = dict(flow)
    takes = _parameters(flow['type'])
    if 'strides' in takes:
        fitted['strides'] = strides
    if 'scale_channels' in takes and flow.get('scale_channels', channels) is not None:
        fitted['scale_channels'] = channels
    return {**propagation, 'flow_estimator': fitted}


def measure_maps(seam: FeatureSeam) -> tuple[list[int], list[int]]:
    """Run N_feat once on a small image.

    Returns:
        Stride and channels of each level that is propagated in training.
    """
    weight = next(seam.model.parameters())
    image = weight.new_zeros(1, 3, PROBE_SIDE, PROBE_SIDE)
    with torch.no_grad(), _statistics_kept(seam.model):
        if seam.place is None:
            feats = seam.head(image)
        else:
            read = seam.outputs_read(training=True)
            feats = seam.place.head(seam.model, image, read)
    maps = [feats] if isinstance(feats, torch.Tensor) else feats
    maps = [feat for feat in maps if feat is not None]
    return [PROBE_SIDE // m.shape[-1] for m in maps], [m.shape[1] for m in maps]


def _parameters(kind: str | type) -> Sequence[str]:
    cls = MODELS.get(kind) if isinstance(kind, str) else kind
    return () if cls is None else tuple(inspect.signature(cls).parameters)


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Let no module be in training, whatever ``train`` of its class does besides."""
    modes = [(module, module.training) for module in model.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
