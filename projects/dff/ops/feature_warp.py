"""Warp feature maps along a flow and multiply by a scale (paper Eq. 1-4).

Coordinates in all of `dff`: the centre of pixel (x, y) is at the integers x, y.
Channel 0 of a flow is dx, channel 1 is dy, in pixels of the map that stores the flow.
A flow belongs to `cur` and points into `key`. Pixels outside a map read 0, because
Eq. 1 sums over pixels that exist. Resizing a flow also rescales its values, x and y
separately.

Shapes: N images, C channels, h x w the feature map.
"""

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn


def feature_warp(feat: Tensor, flow: Tensor, scale: Tensor | None = None) -> Tensor:
    """Sample `feat` where `flow` points and multiply by `scale` (Eq. 1-3).

    Pixels of weight zero are not read: zero flow returns `feat` bit for bit, even
    beside an inf. Flow that is not finite reads 0. Inputs that are all contiguous or
    all channels-last are not copied. The result has the layout of `feat`. Under
    autocast `flow` and `scale` may have any floating type.

    Args:
        feat: Features of the key frame (N, C, h, w); float32, float64, float16 or
            bfloat16 (the 16-bit types are accumulated in float32).
        flow: M_{i->k} (N, 2, h, w); float32, or float64 with float64 features.
        scale: S_{i->k} (N, C, h, w), same type as `feat`; None means 1.

    Returns:
        Features of the current frame (N, C, h, w), same type as `feat`.

    Raises:
        ValueError: Shapes or devices do not match.
        TypeError: An argument is not a tensor or has a type not listed above.
    """
    named = {'feat': feat, 'flow': flow}
    if scale is not None:
        named['scale'] = scale
    for name, value in named.items():
        if not isinstance(value, Tensor):
            raise TypeError(f'{name} must be a tensor, got {type(value).__name__}')
    return torch.ops.dff.feature_warp(feat, flow, scale)


@MODELS.register_module()
class FeatureWarp(nn.Module):
    """Module form of `feature_warp`; it has no parameters."""

    def forward(
        self, feat: Tensor, flow: Tensor, scale: Tensor | None = None
    ) -> Tensor:
        """Sample feat (N, C, h, w) where flow (N, 2, h, w) points, times scale.

        Raises:
            ValueError, TypeError: See `feature_warp`.
        """
        return feature_warp(feat, flow, scale)


def empty_like_feat(feat: Tensor) -> Tensor:
    """Return an empty (N, C, h, w) in the memory layout that the kernels use."""
    is_last = not feat.is_contiguous() and feat.is_contiguous(
        memory_format=torch.channels_last
    )
    layout = torch.channels_last if is_last else torch.contiguous_format
    return torch.empty_like(feat, memory_format=layout)


@torch.library.register_fake('dff::feature_warp')
def _fake_warp(feat, flow, scale):
    torch.ops.dff._check_feature_warp(feat, flow, scale)
    return empty_like_feat(feat)


@torch.library.register_fake('dff::feature_warp_backward')
def _fake_warp_backward(grad, feat, flow, scale, needed):
    with_feat, with_flow, with_scale = needed
    return (
        empty_like_feat(feat) if with_feat else feat.new_empty(0),
        flow.new_empty(flow.shape) if with_flow else flow.new_empty(0),
        empty_like_feat(feat)
        if with_scale and scale is not None
        else feat.new_empty(0),
    )


def _save_warp(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _warp_backward(ctx, grad):
    feat, flow, scale = ctx.saved_tensors
    needed = list(ctx.needs_input_grad)
    grads = torch.ops.dff.feature_warp_backward(grad, feat, flow, scale, needed)
    return tuple(
        grad if is_needed else None
        for grad, is_needed in zip(grads, needed, strict=True)
    )


def _refuse_double_backward(ctx, *grads):
    raise NotImplementedError('feature_warp has no second derivatives')


torch.library.register_autograd(
    'dff::feature_warp', _warp_backward, setup_context=_save_warp
)
torch.library.register_autograd(
    'dff::feature_warp_backward', _refuse_double_backward
)
