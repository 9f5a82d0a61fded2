"""Position-sensitive RoI pooling of R-FCN, with the rounding of the released code.

Shapes: N images, D classes (or box deltas), P x P bins, h x w map, R RoIs.
"""

import torch
from torch import Tensor


def ps_roi_pool(
    feat: Tensor, rois: Tensor, output_size: int, spatial_scale: float
) -> Tensor:
    """Average each bin of each RoI over the channel that belongs to the bin.

    A RoI covers round(x1) * spatial_scale to (round(x2) + 1) * spatial_scale, and the
    same in y, but at least 0.1 pixels of the map. Halves round away from zero. Bins
    grow to whole pixels and are clipped to the map; an empty bin is 0.

    Args:
        feat: Score maps (N, D*P*P, h, w), class-major: bin (row, column) of class d
            is channel (d * P + row) * P + column. Types as in `feature_warp`.
        rois: (R, 5), each (batch index, x1, y1, x2, y2) in image pixels; float32,
            or float64 with float64 features. They get no gradient.
        output_size: P.
        spatial_scale: Pixels of the map per pixel of the image, e.g. 1 / 16.

    Returns:
        Pooled scores (R, D, P, P), same type as `feat`.

    Raises:
        ValueError: Shapes or devices do not match, or a batch index is not in
            [0, N). On CUDA such a RoI returns nan instead, because checking would
            wait for the device.
        TypeError: An argument is not a tensor or has a type not listed above.
    """
    for name, value in {'feat': feat, 'rois': rois}.items():
        if not isinstance(value, Tensor):
            raise TypeError(f'{name} must be a tensor, got {type(value).__name__}')
    if not isinstance(output_size, int):
        raise TypeError(f'output_size must be an int, got {output_size!r}')
    return torch.ops.dff.ps_roi_pool(feat, rois, output_size, float(spatial_scale))


@torch.library.register_fake('dff::ps_roi_pool')
def _fake_pool(feat, rois, output_size, spatial_scale):
    torch.ops.dff._check_ps_roi_pool(feat, rois, output_size, spatial_scale)
    depth = feat.shape[1] // output_size**2
    return feat.new_empty((rois.shape[0], depth, output_size, output_size))


@torch.library.register_fake('dff::ps_roi_pool_backward')
def _fake_pool_backward(grad, rois, feat_shape, spatial_scale):
    return grad.new_empty(feat_shape)


def _save_pool(ctx, inputs, output):
    feat, rois, _, spatial_scale = inputs
    ctx.save_for_backward(rois)
    ctx.feat_shape = feat.shape
    ctx.spatial_scale = spatial_scale


def _pool_backward(ctx, grad):
    (rois,) = ctx.saved_tensors
    grad_feat = torch.ops.dff.ps_roi_pool_backward(
        grad, rois, ctx.feat_shape, ctx.spatial_scale
    )
    return grad_feat, None, None, None


def _refuse_double_backward(ctx, *grads):
    raise NotImplementedError('ps_roi_pool has no second derivatives')


torch.library.register_autograd(
    'dff::ps_roi_pool', _pool_backward, setup_context=_save_pool
)
torch.library.register_autograd('dff::ps_roi_pool_backward', _refuse_double_backward)
