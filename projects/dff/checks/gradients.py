"""Find the parameters of a model that get a gradient from random pairs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.logging import MessageHub
from torch import Tensor, nn

from .inputs import make_pairs


def training_batch(
    model: nn.Module, size: tuple[int, int], is_same: Sequence[bool]
) -> dict[str, Any]:
    """Build a pre-processed batch of random pairs; sets the model to train mode."""
    model.train()
    hub = MessageHub.get_current_instance()
    if 'iter' not in hub.runtime_info:  # YOLOX's batch resize reads it
        hub.update_info('iter', 0)
    return model.data_preprocessor(make_pairs(model, size, is_same), training=True)


def compute_gradients(
    model: nn.Module, size: tuple[int, int], loss: Callable[[dict, list], dict]
) -> dict[str, Tensor]:
    """Return the gradient of each parameter that takes part in the loss.

    Args:
        model: DFF model.
        size: (H, W) of the random frames.
        loss: Function of the inputs and data samples that returns losses by name.

    Returns:
        Gradients by the parameter's name, each of the parameter's shape.

    Raises:
        ValueError: If the loss is not finite.
    """
    data = training_batch(model, size, [False, False])
    model.zero_grad()
    torch.manual_seed(0)
    total, _ = model.parse_losses(loss(data['inputs'], data['data_samples']))
    if not total.isfinite():
        raise ValueError(
            f'the loss of random frames must be finite, got {float(total)}'
        )
    total.backward()
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {name: grad.clone() for name, grad in grads.items()}


def reached_parameters(model: nn.Module, size: tuple[int, int]) -> dict[str, bool]:
    """Return by name whether each parameter of F and S changes a propagated feature.

    Empty where F and S have nothing to train (classical flow, "fix F").
    """
    if not any(p.requires_grad for p in model.propagation.parameters()):
        return {}
    data = training_batch(model, size, [False, False])
    cur, key = data['inputs']['cur'], data['inputs']['key']
    model.train().zero_grad()  # auxiliary heads read their levels in training only
    with torch.no_grad():
        feats = model.seam.head(key)
    moved, _ = model.propagation(feats, cur, key)
    sum(feat.square().sum() for feat in moved.maps.values()).backward()
    named = model.propagation.named_parameters(prefix='propagation')
    return {
        name: p.grad is not None and bool(p.grad.any())
        for name, p in named
        if p.requires_grad
    }
