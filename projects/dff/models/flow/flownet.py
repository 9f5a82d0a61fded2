"""FlowNetS and FlowNet Half, the flow function F with the scale field S.

Shapes: N batch; H, W full-size image; C channels of a feature level; h, w a map.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import constant_init, kaiming_init, normal_init
from mmengine.registry import MODELS
from torch import Tensor, nn

from .field import MIN_FLOW_STRIDE, check_strides, flow_stride

LEAK = 0.1  # released code: slope of LeakyReLU
FLOW_DIVISOR = 20.0  # FlowNet predicts flow / 20, in pixels of its half-size input
INPUT_STRIDE = 2  # the network sees the frames at half size (paper Sec. 4)

# paper Tab. 6: name, output channels at width 1, kernel, stride
ENCODER = (
    ('conv1', 64, 7, 2),
    ('conv2', 128, 5, 2),
    ('conv3', 256, 5, 2),
    ('conv3_1', 256, 3, 1),
    ('conv4', 512, 3, 2),
    ('conv4_1', 512, 3, 1),
    ('conv5', 512, 3, 2),
    ('conv5_1', 512, 3, 1),
    ('conv6', 1024, 3, 2),
    ('conv6_1', 1024, 3, 1),
)
# refinement, coarse to fine: level, deconvolution channels, the skip joined there
DECODER = (
    (5, 512, 'conv5_1'),
    (4, 256, 'conv4_1'),
    (3, 128, 'conv3_1'),
    (2, 64, 'conv2'),
)


# On a CPU, a convolution that has more weights than positions spends its time on
# re-ordering the weights; as a plain product of matrices it takes a third.
FEW_POSITIONS = 64


def _is_tiny(x: Tensor) -> bool:
    return (
        x.device.type == 'cpu'
        and x.shape[0] == 1
        and x.shape[-2] * x.shape[-1] <= FEW_POSITIONS
    )


class _Conv(nn.Conv2d):
    """Convolution that is a product of matrices on tiny maps."""

    def forward(self, x: Tensor) -> Tensor:
        if self.stride != (1, 1) or not _is_tiny(x):
            return super().forward(x)
        columns = F.unfold(x, self.kernel_size, padding=self.padding)[0]
        out = torch.addmm(self.bias[:, None], self.weight.flatten(1), columns)
        return out.view(1, -1, *x.shape[-2:])  # (1, C, h, w)


class _Upsample(nn.ConvTranspose2d):
    """Deconvolution 4x4, stride 2, with bias, cropped by (1, 1) to the skip's size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=4, stride=2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        height, width = skip.shape[-2:]
        return self._deconvolve(x)[..., 1 : 1 + height, 1 : 1 + width]

    def _deconvolve(self, x: Tensor) -> Tensor:
        if not _is_tiny(x):
            return super().forward(x)
        columns = self.weight.flatten(1).t() @ x[0].flatten(1)
        size = [2 * side + 2 for side in x.shape[-2:]]
        out = F.fold(columns[None], size, self.kernel_size, stride=self.stride)
        return out + self.bias.view(1, -1, 1, 1)


@MODELS.register_module()
class FlowNetS(BaseModule):
    """FlowNet, "Simple" version, with a scale branch (paper Sec. 3, Tab. 6 and 7).

    `net(cur, key) -> (flow, scale)`: M_{i->k} and S_{i->k} of Eq. (2), (3). Frames
    are full-size RGB in 0..255 units minus (123.15, 115.90, 103.06).

    Differs from paper: as in the released code, the last concatenation is average
    pooled from stride 8 to the stride wanted, then flow and scale are predicted
    (`downsample='pool'`); `'bilinear'` is the paper's text: predict at stride 8, then
    resize the fields.

    Args:
        width: factor in (0, 1] on every channel count; 0.5 is FlowNet Half.
        strides: stride of every feature level, in the levels' order.
        scale_channels: channels of the scale field: one int for all levels, a list
            with one a level, or None for no scale branch.
        downsample: 'pool' or 'bilinear', see above.
        init_cfg: mmengine initialisation, for example `Pretrained`.
    """

    def __init__(
        self,
        width: float = 1.0,
        *,
        strides: Sequence[int] = (16,),
        scale_channels: int | Sequence[int] | None = 1024,
        downsample: str = 'pool',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not 0 < width <= 1:
            raise ValueError(f'width must be in (0, 1], got {width}')
        if downsample not in ('pool', 'bilinear'):
            raise ValueError(
                f"downsample must be 'pool' or 'bilinear', got {downsample!r}"
            )
        self.strides = check_strides(strides)
        self.flow_stride = flow_stride(self.strides)
        self.downsample = downsample
        counts = {name: max(1, round(c * width)) for name, c, _, _ in ENCODER}
        self._build_encoder(counts)
        channels = self._build_decoder(counts, width)
        levels = _levels(scale_channels, len(self.strides))
        self.predict_scale = nn.ModuleList(nn.Conv2d(channels, c, 1) for c in levels)
        self._reset_parameters()

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

    def _build_encoder(self, counts: dict[str, int]) -> None:
        before = 2 * 3  # both frames, RGB
        for name, _, kernel, stride in ENCODER:
            conv = _Conv(before, counts[name], kernel, stride, kernel // 2)
            self.add_module(name, conv)
            before = counts[name]

    def _build_decoder(self, counts: dict[str, int], width: float) -> int:
        """Build the four refinement steps; return the channels of the last one."""
        before = counts['conv6_1']
        self.predict_flow6 = nn.Conv2d(before, 2, 3, padding=1)
        for level, channels, skip in DECODER:
            channels = max(1, round(channels * width))
            self.add_module(f'deconv{level}', _Upsample(before, channels))
            self.add_module(f'upsample_flow{level + 1}to{level}', _Upsample(2, 2))
            before = counts[skip] + channels + 2
            self.add_module(f'predict_flow{level}', nn.Conv2d(before, 2, 3, padding=1))
        return before

    def _reset_parameters(self) -> None:
        """Preserve variance in both paths; small flow, bilinear upsampling, S = 1."""
        for name, module in self.named_modules():
            if name.startswith('upsample_flow'):
                _init_bilinear(module)
            elif isinstance(module, _Upsample):
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
        halves = [F.avg_pool2d(frame, 2, ceil_mode=True) for frame in (cur, key)]
        x = torch.cat(halves, dim=1).div_(255)  # (N, 6, H / 2, W / 2)
        outs = {}
        for name, *_ in ENCODER:
            x = outs[name] = F.leaky_relu_(getattr(self, name)(x), LEAK)
        flows = [self.predict_flow6(x)]
        for level, _, skip in DECODER:
            skip = outs[skip]
            up = F.leaky_relu_(getattr(self, f'deconv{level}')(x, skip), LEAK)
            to_finer = getattr(self, f'upsample_flow{level + 1}to{level}')
            x = torch.cat([skip, up, to_finer(flows[-1], skip)], dim=1)
            if level > 2:
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
        pyramid[stride] = F.avg_pool2d(finer, 2, ceil_mode=True)
    return pyramid[stride]


def _levels(channels: int | Sequence[int] | None, count: int) -> list[int]:
    """Return the scale channels of every level, nothing where there is no scale."""
    if channels is None:
        return []
    levels = [channels] * count if isinstance(channels, int) else list(channels)
    if len(levels) != count:
        raise ValueError(
            f'scale_channels must be an int, None or one a level ({count} strides), '
            f'got {channels}'
        )
    if min(levels) < 1:
        raise ValueError(f'scale_channels must be positive, got {channels}')
    return levels


def _init_bilinear(module: nn.ConvTranspose2d) -> None:
    """Make a 2 -> 2 deconvolution the bilinear up-sampling of x and of y."""
    row = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        module.weight.zero_()
        for channel in range(module.out_channels):
            module.weight[channel, channel] = torch.outer(row, row)
        module.bias.zero_()
