"""Training of a flow network on its own, before the joint training (paper Sec. 3).

Shapes: N pairs; H, W image; h, w a flow map.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from .field import FLOW_MEAN
from .refinement import FLOW_DIVISOR, INPUT_STRIDE

# FlowNet's training weighs the *summed* errors of its scales by .005, .01, .02, .08,
# .32, fine to coarse; a mean is over 4 times as many pixels at each finer scale.
SCALE_WEIGHTS = (0.005 * 4**4, 0.01 * 4**3, 0.02 * 4**2, 0.08 * 4, 0.32)


@MODELS.register_module()
class FlowPretrainer(BaseModel):
    """Train a flow network by its end-point error at several scales.

    The checkpoint's keys begin with ``flow_estimator.``, so that a flow network in
    a video model starts from it by ``init_cfg=dict(type='Pretrained',
    checkpoint=..., prefix='flow_estimator.')``. The scale branch is not trained.

    Args:
        flow_estimator: Config of the flow network, with ``forward_multi_scale``.
        scale_weights: Weight of each scale's error, finest first.
        motion_weight: Extra weight of a pixel that moves by ``motion_pixels`` or
            more, in proportion below; 0 is FlowNet's plain mean. Where a camera
            stands still, nearly all pixels do not move.
        motion_pixels: See ``motion_weight``.
    """

    def __init__(
        self,
        flow_estimator: dict | nn.Module,
        *,
        scale_weights: Sequence[float] = SCALE_WEIGHTS,
        motion_weight: float = 0.0,
        motion_pixels: float = 8.0,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if isinstance(flow_estimator, dict):
            flow_estimator = MODELS.build(flow_estimator)
        self.flow_estimator = flow_estimator
        self.scale_weights = tuple(scale_weights)
        self.motion_weight = motion_weight
        self.motion_pixels = motion_pixels
        mean = torch.tensor(FLOW_MEAN).view(1, 3, 1, 1)
        self.register_buffer('mean', mean, persistent=False)

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict | list | tuple:
        """Compute losses, or flows.

        Args:
            inputs: ``cur`` and ``key``, lists of BGR images (3, H, W) of one size.
            data_samples: With ``gt_flow.data`` (2, H, W) in pixels of the image.
            mode: ``'loss'``; ``'predict'`` adds ``pred_flow`` (2, h, w), pixels of
                its own map, to the samples; ``'tensor'`` gives flow and scale.
        """
        cur, key = (self._to_rgb(inputs[name]) for name in ('cur', 'key'))
        samples = data_samples or []
        if mode == 'loss':
            target = torch.stack([sample.gt_flow.data for sample in samples])
            return self.loss(cur, key, target)
        flow, scale = self.flow_estimator(cur, key)
        if mode == 'tensor':
            return flow, scale
        for sample, pred in zip(samples, flow, strict=True):
            sample.pred_flow = pred
        return samples

    def loss(self, cur: Tensor, key: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute the weighted end-point error of each scale, and ``epe`` in pixels.

        Args:
            cur: (N, 3, H, W), the flow network's input; ``key`` likewise.
            key: See ``cur``.
            target: Flow (N, 2, H, W) in pixels of the image; cells of which no pixel
                is known (finite) count nowhere, others by their known pixels.
        """
        unit = FLOW_DIVISOR * INPUT_STRIDE
        losses = {}
        is_known = target.isfinite().all(dim=1, keepdim=True)  # (N, 1, H, W)
        target = target.where(is_known, 0)
        flows = self.flow_estimator.forward_multi_scale(cur, key)
        for index, (flow, weight) in enumerate(
            zip(flows, self.scale_weights, strict=True)
        ):
            size = flow.shape[-2:]
            share = F.adaptive_avg_pool2d(is_known.to(target), size)  # (N, 1, h, w)
            wanted = F.adaptive_avg_pool2d(target, size)  # (N, 2, h, w)
            wanted = wanted / share.where(share > 0, 1)
            counts = (share > 0).to(target).squeeze(1)  # (N, h, w)
            error = torch.linalg.vector_norm(flow - wanted / unit, dim=1)  # (N, h, w)
            motion = torch.linalg.vector_norm(wanted, dim=1) / self.motion_pixels
            importance = counts * (1 + self.motion_weight * motion.clamp(max=1))
            mean = (error * importance).sum() / importance.sum().clamp(min=1)
            losses[f'loss_scale{index}'] = mean * weight
            if index == 0:
                known = (error.detach() * counts).sum() / counts.sum().clamp(min=1)
                losses['epe'] = known * unit
        return losses

    def _to_rgb(self, images: Sequence[Tensor] | Tensor) -> Tensor:
        if not isinstance(images, Tensor):
            images = torch.stack(list(images))
        return images.flip(1).to(self.mean) - self.mean  # (N, 3, H, W)
