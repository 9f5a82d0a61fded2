"""End-point error of optical flow."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS
from torch import Tensor
from torch.nn import functional as F

UNKNOWN = 1e9  # Middlebury: a larger value marks an unknown flow
MOTION_RANGES = {
    '0-10': (0.0, 10.0),
    '10-40': (10.0, 40.0),
    '40+': (40.0, float('inf')),
}
MAX_STRIDE = 128


@METRICS.register_module()
class EndPointError(BaseMetric):
    """Mean length of the error of a flow, in pixels of the full image.

    Samples hold ``gt_flow.data`` (2, H, W), NaN or beyond 1e9 where it is unknown,
    and ``pred_flow`` (2, h, w) in pixels of its own map, whose stride is a power of
    two: h = ceil(H / stride). The prediction is enlarged bilinearly to (2, H, W) and
    its values are rescaled. The means are over all known pixels, not over pairs.

    Figures: ``flow/epe``; ``flow/epe_0-10``, ``_10-40``, ``_40+`` over pixels by the
    length of their true flow, upper end excluded; ``flow/known``, the share of known
    pixels in percent; and, if every sample has ``is_hidden.data`` (1, H, W),
    ``flow/epe_visible`` and ``flow/epe_hidden``. A mean over no pixel is nan.

    A pair is identified by ``img_path`` and ``key_path``, so that the padding of a
    sampler on several ranks counts no pair twice.

    Args:
        collect_device: See mmengine's BaseMetric.
        prefix: Prefix of the figures' names.
        collect_dir: See mmengine's BaseMetric.
    """

    default_prefix = 'flow'
    results: list

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add up the errors of each pair.

        Raises:
            ValueError: If the shape of a prediction fits no stride.
        """
        for sample in data_samples:
            target = sample['gt_flow']['data'].double().cpu()
            flow = enlarge_flow(sample['pred_flow'].double().cpu(), target.shape[-2:])
            error = torch.linalg.vector_norm(flow - target, dim=0)  # (H, W)
            is_known = (target.abs() <= UNKNOWN).all(dim=0)  # NaN is not
            motion = torch.linalg.vector_norm(target, dim=0)
            parts = {'': is_known}
            for name, (low, high) in MOTION_RANGES.items():
                parts[f'_{name}'] = is_known & (motion >= low) & (motion < high)
            if 'is_hidden' in sample:
                is_hidden = sample['is_hidden']['data'][0].bool().cpu()
                parts['_visible'] = is_known & ~is_hidden
                parts['_hidden'] = is_known & is_hidden
            sums = {
                name: (float(error[part].sum()), int(part.sum()))
                for name, part in parts.items()
            }
            pair = sample.get('img_path'), sample.get('key_path')
            self.results.append((pair, error.numel(), sums))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the figures over pairs, each of which counts once.

        Raises:
            ValueError: If there is no pair.
        """
        if not results:
            raise ValueError('EndPointError needs at least one pair, got none')
        names = [
            name for name in results[0][2] if all(name in sums for *_, sums in results)
        ]
        figures = {}
        for name in names:
            total = sum(sums[name][0] for *_, sums in results)
            count = sum(sums[name][1] for *_, sums in results)
            figures[f'epe{name}'] = total / count if count else float('nan')
        known = sum(sums[''][1] for *_, sums in results)
        figures['known'] = 100 * known / sum(pixels for _, pixels, _ in results)
        return figures

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the figures over the pairs of all ranks, without repeats.

        Raises:
            ValueError: If fewer or more than ``size`` pairs came.
        """
        by_rank = all_gather_object(self.results)
        self.results = []
        pairs: dict[Any, Any] = {}
        for result in (result for part in by_rank for result in part):
            pair = result[0] if result[0][0] is not None else len(pairs)
            pairs.setdefault(pair, result)
        figures = self.compute_metrics(list(pairs.values()))
        if len(pairs) != size:
            raise ValueError(
                f'EndPointError must see each of the {size} pairs, got {len(pairs)}'
            )
        return {f'{self.prefix}/{name}': value for name, value in figures.items()}


def enlarge_flow(flow: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge a flow (2, h, w) in pixels of its map to (2, H, W) in image pixels.

    A cell covers stride x stride pixels, counted from the upper left corner of the
    image; values are multiplied by the stride, in x and in y.

    Args:
        flow: (2, h, w).
        size: (H, W) of the image.

    Raises:
        ValueError: If (h, w) is not (ceil(H / s), ceil(W / s)) for a power of two s.
    """
    height, width = size
    strides = [2**power for power in range(MAX_STRIDE.bit_length())]
    sizes = {stride: (-(-height // stride), -(-width // stride)) for stride in strides}
    fits = [s for s in strides if tuple(flow.shape) == (2, *sizes[s])]
    if not fits:
        raise ValueError(
            'pred_flow must be (2, ceil(H / s), ceil(W / s)) with s = 1, 2, 4 ... '
            f'{MAX_STRIDE} for an image of {tuple(size)}, got {tuple(flow.shape)}'
        )
    stride = fits[0]
    if stride == 1:
        return flow
    full = [side * stride for side in sizes[stride]]
    flow = F.interpolate(flow[None], full, mode='bilinear', align_corners=False)[0]
    return flow[:, :height, :width] * stride
