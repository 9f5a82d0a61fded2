"""Labels of enlarged score maps, without the enlarged maps.

Shapes: N images, K classes, h x w the map, H x W the image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def upsample_argmax(
    scores: Tensor, size: Sequence[int], *, align_corners: bool = False
) -> Tensor:
    """Enlarge scores bilinearly and give the class that leads at each pixel.

    Equal to ``interpolate(scores, size, mode='bilinear').argmax(1)`` but for pixels
    where two classes tie to rounding. At the paper's size (Sec. 5.1) the enlarged
    scores are 19 x 1024 x 2048: writing and reading them takes longer than the
    network that they come from (N_task, Sec. 4).

    Args:
        scores: (N, K, h, w), types as in `feature_warp`. No gradient flows to them.
        size: (H, W).
        align_corners: As in torch's ``interpolate``.

    Returns:
        Labels (N, H, W) int64.

    Raises:
        ValueError: `scores` has another shape or no class, or the size is not
            positive.
        TypeError: `scores` is no tensor, or of another type.
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
