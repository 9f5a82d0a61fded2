"""What all flow networks share: input, refinement of the flow, flow and scale.

Shapes: N batch; H, W full-size image; C channels of a feature level; h, w a map.
"""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import constant_init, kaiming_init, normal_init
from torch import Tensor, nn

from .field import MIN_FLOW_STRIDE, check_strides, flow_stride
from .layers import Upsample, halve

LEAK = 0.1  # released code: slope of LeakyReLU
FLOW_DIVISOR = 20.0  # FlowNet predicts flow / 20, in pixels of its half-size input
INPUT_STRIDE = 2  # the network sees the frames at half size (paper Sec. 4)
COARSEST = 6  # an encoder's map of level n has 1 / 2^n of the half-size input's side
MAX_CHANNELS = 2**16  # of the scale field
REFINED = (5, 4, 3, 2)  # levels of the refinement, coarse to fine


class RefinedFlowNet(BaseModule):
    """Flow network without its encoder (paper Sec. 3): M_{i->k} and S_{i->k}.

    A subclass makes its encoder's layers, then calls `_build_refinement`, and returns
    the encoder's maps from `_encode`.

    Differs from paper: as in the released code, the last concatenation is average
    pooled from stride 8 to the stride wanted, then flow and scale are predicted
    (`downsample='pool'`); `'bilinear'` is the paper's text: predict at stride 8, then
    resize the fields.

    Args:
        strides: stride of every feature level, in the levels' order.
        scale_channels: channels of the scale field: one int for all levels, a list
            with one per level, or None for no scale branch.
        downsample: 'pool' or 'bilinear', see above.
        init_cfg: mmengine initialisation, for example `Pretrained`.

    Raises:
        ValueError: `downsample` is neither, or the strides or scales do not fit.
    """

    def __init__(
        self,
        *,
        strides: Sequence[int] = (16,),
        scale_channels: int | Sequence[int] | None = 1024,
        downsample: str = 'pool',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if downsample not in ('pool', 'bilinear'):
            raise ValueError(
                f"downsample must be 'pool' or 'bilinear', got {downsample!r}"
            )
        self.strides = check_strides(strides)
        self.flow_stride = flow_stride(self.strides)
        self.downsample = downsample
        self.scale_channels = _levels(scale_channels, len(self.strides))

    def forward(
        self, cur: Tensor, key: Tensor, levels: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor | list[Tensor] | None]:
        """Estimate flow and scale from `cur` to `key`, both (N, 3, H, W).

        `levels` says which of the strides scales are wanted for; None is all.

        Pooling and a 1x1 convolution commute; a level's scale is predicted on the
        pooled map because that costs a quarter with every halving.

        Returns:
            flow (N, 2, h, w) at `flow_stride` in pixels of that map; scale, None or
            (N, C, h, w) at stride max(8, stride), a list if there are several levels.
        """
        joined, _ = self._refine(cur, key)
        pyramid = {MIN_FLOW_STRIDE: joined}  # each stride is pooled once
        flow = self._at_stride(self._predict_flow, pyramid, self.flow_stride)
        to_map = FLOW_DIVISOR * INPUT_STRIDE / self.flow_stride
        if levels is None or not self.predict_scale:
            levels = range(len(self.predict_scale))
        scales = [
            self._at_stride(
                self.predict_scale[level],
                pyramid,
                max(MIN_FLOW_STRIDE, self.strides[level]),
            )
            for level in levels
        ]
        if len(scales) < 2:
            return flow * to_map, (scales[0] if scales else None)
        return flow * to_map, scales

    def forward_multi_scale(self, cur: Tensor, key: Tensor) -> tuple[Tensor, ...]:
        """Predict the flow at five scales, for pre-training.

        Returns:
            Five flows (N, 2, h, w), finest first, at strides 8, 16, 32, 64 and 128 of
            the full-size frames. All have one unit, whatever their size: flow / 20
            in pixels of the half-size frames (times 40: pixels of the frames).
        """
        joined, flows = self._refine(cur, key)
        return (self._predict_flow(joined), *reversed(flows))

    def _encode(self, x: Tensor) -> dict[int, Tensor]:
        """Return the maps of levels 6 to 2 for both half-size frames (N, 6, h, w)."""
        raise NotImplementedError

    def _build_refinement(
        self, maps: Mapping[int, int], channels: Mapping[int, int]
    ) -> None:
        """Build the four refinement steps and the predictions; initialise all layers.

        Args:
            maps: Channels of the encoder's map of each level, 6 to 2.
            channels: Of the deconvolution that leads to each level, 5 to 2.
        """
        before = maps[COARSEST]
        self.predict_flow6 = nn.Conv2d(before, 2, 3, padding=1)
        for level in REFINED:
            self.add_module(f'deconv{level}', Upsample(before, channels[level]))
            self.add_module(f'upsample_flow{level + 1}to{level}', Upsample(2, 2))
            before = maps[level] + channels[level] + 2
            self.add_module(f'predict_flow{level}', nn.Conv2d(before, 2, 3, padding=1))
        self.predict_scale = nn.ModuleList(
            nn.Conv2d(before, c, 1) for c in self.scale_channels
        )
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Preserve variance in both paths; small flow, bilinear upsampling, S = 1."""
        for name, module in self.named_modules():
            if name.startswith('upsample_flow'):
                module.init_bilinear()
            elif isinstance(module, Upsample):
                taps = module.in_channels * 4  # each output pixel is reached by 2x2
                normal_init(module, std=math.sqrt(2 / (1 + LEAK**2) / taps))
            elif name.startswith('predict_flow'):
                normal_init(module, std=0.01)
            elif name.startswith('predict_scale.'):
                constant_init(module, 0, bias=1)  # released code
            elif isinstance(module, nn.Conv2d):
                kaiming_init(module, LEAK, 'fan_in', 'leaky_relu')

    def _refine(self, cur: Tensor, key: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Run encoder and decoder.

        Returns:
            The last concatenation at stride 8, and the four coarser flows, coarse
            to fine, in the unit of `forward_multi_scale`.
        """
        if cur.shape != key.shape or cur.ndim != 4 or cur.shape[1] != 3:
            raise ValueError(
                'cur and key must both be (N, 3, H, W), got '
                f'{tuple(cur.shape)} and {tuple(key.shape)}'
            )
        halves = [halve(frame) for frame in (cur, key)]
        maps = self._encode(torch.cat(halves, dim=1).div_(255))  # (N, 6, H / 2, W / 2)
        x = maps[COARSEST]
        flows = [self.predict_flow6(x)]
        for level in REFINED:
            skip = maps[level]
            up = F.leaky_relu_(getattr(self, f'deconv{level}')(x, skip), LEAK)
            to_finer = getattr(self, f'upsample_flow{level + 1}to{level}')
            x = torch.cat([skip, up, to_finer(flows[-1], skip)], dim=1)
            if level > REFINED[-1]:
                flows.append(getattr(self, f'predict_flow{level}')(x))
        return x, flows

    def _predict_flow(self, joined: Tensor) -> Tensor:
        """Predict the last flow; outside autocast: bfloat16 is 1/16 px wrong at 8."""
        with torch.autocast(joined.device.type, enabled=False):
            return self.predict_flow2(joined.to(self.predict_flow2.weight.dtype))

    def _at_stride(
        self, predict: nn.Module, pyramid: dict[int, Tensor], stride: int
    ) -> Tensor:
        """Predict a field at `stride`; `pyramid` holds the maps made so far."""
        if self.downsample == 'pool':
            return predict(_pooled(pyramid, stride))
        field = predict(pyramid[MIN_FLOW_STRIDE])
        for _ in range((stride // MIN_FLOW_STRIDE).bit_length() - 1):
            half = [(side + 1) // 2 for side in field.shape[-2:]]
            field = F.interpolate(field, half, mode='bilinear', align_corners=False)
        return field


def _pooled(pyramid: dict[int, Tensor], stride: int) -> Tensor:
    """Return the map at `stride`, by 2x2 average pooling of the next finer one."""
    if stride not in pyramid:
        finer = _pooled(pyramid, stride // 2)
        pyramid[stride] = halve(finer)
    return pyramid[stride]


def _levels(channels: int | Sequence[int] | None, count: int) -> list[int]:
    """Return the scale channels of every level, nothing where there is no scale."""
    if channels is None:
        return []
    levels = [channels] * count if isinstance(channels, int) else channels
    is_list = isinstance(levels, Sequence) and not isinstance(levels, str)
    if not is_list or not all(type(level) is int for level in levels):
        raise TypeError(
            f'scale_channels must be an int, None or a list, got {channels!r:.80}'
        )
    levels = list(levels)
    if len(levels) != count:
        raise ValueError(
            f'scale_channels must be an int, None or one per level ({count} strides), '
            f'got {channels}'
        )
    if min(levels) < 1:
        raise ValueError(f'scale_channels must be positive, got {channels}')
    if max(levels) > MAX_CHANNELS:
        raise ValueError(
            f'scale_channels must be at most {MAX_CHANNELS}, got {channels!r:.80}'
        )
    return levels
