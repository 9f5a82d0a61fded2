"""Pictures of a few hundred cells: what of one is to be found in another.

Shapes: H, W image; h, w cells.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

NOISE = 4.0  # 0..255 units; added to contrasts, so that noise in the dark is none


def shrink(images: Tensor, stride: int) -> Tensor:
    """Average each stride x stride block of images (1, C, H, W), rounded up."""
    return F.avg_pool2d(images, stride, ceil_mode=True)


def shrink_to(pictures: Tensor, cells: int) -> Tensor:
    """Average pictures (1, C, h, w) to at most ``cells`` on their longer side."""
    longer = max(pictures.shape[-2:])
    if longer <= cells:
        return pictures
    height, width = (max(1, round(s * cells / longer)) for s in pictures.shape[-2:])
    return F.adaptive_avg_pool2d(pictures, (height, width))


def warp_picture(picture: Tensor, flow: Tensor) -> Tensor:
    """Sample a picture (1, C, h, w) where the flow (1, 2, ~h, ~w) points.

    The border is repeated: features read 0 outside of the map (``feature_warp``), which
    in a picture would be black and look like a change.
    """
    height, width = picture.shape[-2:]
    flow = flow[..., :height, :width]
    lacking = (0, width - flow.shape[-1], 0, height - flow.shape[-2])
    if any(lacking):  # a flow network may round the size down
        flow = F.pad(flow, lacking, mode='replicate')
    rows = torch.arange(height, device=flow.device, dtype=torch.float32)
    columns = torch.arange(width, device=flow.device, dtype=torch.float32)
    x = (columns + flow[:, 0].float()) * (2 / max(width - 1, 1)) - 1
    y = (rows[:, None] + flow[:, 1].float()) * (2 / max(height - 1, 1)) - 1
    grid = torch.stack([x, y], dim=-1)  # (1, h, w, 2)
    return F.grid_sample(
        picture.float(), grid, padding_mode='border', align_corners=True
    )


def change_between(before: Tensor, cur: Tensor) -> float:
    """Return how much of two pictures (1, C, h, w) is not to be found in the other.

    A value is found if it lies within the range of the 3x3 cells around its place, so
    that motion of up to a cell is no change. A change of exposure is none either:
    ``cur`` is first brought to the mean and the contrast of ``before``.

    Returns:
        Mean distance to that range in units of the contrast: about 0.01 between
        neighbours of a video, 0.3 and more across a cut.
    """
    mean, contrast = _moments(before)
    cur_mean, cur_contrast = _moments(cur)
    cur = (cur - cur_mean) * ((contrast + NOISE) / (cur_contrast + NOISE)) + mean
    missing = distance_to_range(cur, before) + distance_to_range(before, cur)
    return float((missing.mean() / (contrast + NOISE)).cpu()) / 2


def _moments(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of each channel (1, C, 1, 1), and the contrast of all, ()."""
    variance = picture.var(dim=(0, 2, 3), unbiased=False).mean()
    return picture.mean(dim=(2, 3), keepdim=True), variance.clamp_min(0).sqrt()


def distance_to_range(values: Tensor, other: Tensor) -> Tensor:
    """Return the distance of values to the range of 3x3 cells of another picture."""
    lowest = -F.max_pool2d(-other, 3, stride=1, padding=1)
    highest = F.max_pool2d(other, 3, stride=1, padding=1)
    return (values - highest).clamp_min(0) + (lowest - values).clamp_min(0)
