"""Labels of enlarged score maps, without storing the enlarged maps.

Shapes: N images, K classes, h x w map, H x W image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def upsample_argmax(
    scores: Tensor, size: Sequence[int], *, align_corners: bool = False
) -> Tensor:
    """Enlarge scores bilinearly and return the best class of each pixel.

    Equal to ``interpolate(scores, size, mode='bilinear').argmax(1)``, except where two
    classes tie up to rounding. At the paper's size (Sec. 5.1) the enlarged scores are
    19 x 1024 x 2048. Writing and reading them takes longer than running the network
    that computes them (N_task, Sec. 4).

    Args:
        scores: (N, K, h, w), types as in `feature_warp`. They get no gradient.
        size: (H, W).
        align_corners: As in torch's ``interpolate``.

    Returns:
        Labels (N, H, W) int64.

    Raises:
        ValueError: `scores` has another shape or no class, or `size` is not two
            positive numbers.
        TypeError: `scores` is not a tensor or has another type.
    """
    if not isinstance(scores, Tensor):
        raise TypeError(f'scores must be a tensor, got {type(scores).__name__}')
    if len(size) != 2:
        raise ValueError(f'size must be (H, W), got {tuple(size)}')
    height, width = (int(side) for side in size)
    return torch.ops.dff.upsample_argmax(scores.detach(), height, width, align_corners)


@torch.library.register_fake('dff::upsample_argmax')
def _fake_labels(scores, height, width, align_corners):
    torch.ops.dff._check_upsample_argmax(scores, height, width)
    return scores.new_empty((scores.shape[0], height, width), dtype=torch.long)
