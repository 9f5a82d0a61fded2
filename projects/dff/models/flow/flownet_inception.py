"""FlowNet Inception, the flow function F of an eighth of FlowNet's cost.

Shapes: N batch; H, W full-size image; C channels; h, w a map.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from .layers import Conv
from .refinement import LEAK, REFINED, RefinedFlowNet


class Branches(NamedTuple):
    """A row of paper Tab. 8: channels of each branch's layers, 0 or () for none."""

    reach1: int = 0  # 1x1
    reach3: tuple[int, ...] = ()  # 1x1, 3x3
    reach5: tuple[int, ...] = ()  # 1x1, 3x3, 3x3
    pool: int = 0  # 3x3 max pooling, 1x1
    stride: int = 1

    @property
    def out_channels(self) -> int:
        """Count the concatenated channels: each branch's last."""
        return self.reach1 + sum(self.reach3[-1:]) + sum(self.reach5[-1:]) + self.pool


# paper Tab. 8: conv1, 7x7, stride 2, and pool1, 3x3, stride 2
STEM_CHANNELS = 32
# paper Tab. 8, the rest: Inception; Reduction where the stride is 2; the channels of
# a plain 3x3 convolution of stride 2
ENCODER: dict[str, Branches | int] = {
    'conv2': Branches(0, (24, 32), (24, 32, 32)),
    'conv3_1': 128,
    'conv3_2': Branches(48, (32, 64), (8, 16, 16)),
    'conv3_3': Branches(48, (48, 64), (12, 16, 16)),
    'conv4_1': Branches(32, (112, 128), (28, 32, 32), 64, stride=2),
    'conv4_2': Branches(96, (112, 128), (28, 32, 32)),
    'conv5_1': Branches(48, (96, 192), (36, 48, 48), 96, stride=2),
    'conv5_2': Branches(144, (96, 192), (36, 48, 48)),
    'conv6_1': Branches(64, (192, 256), (48, 64, 64), 128, stride=2),
    'conv6_2': Branches(192, (192, 256), (48, 64, 64)),
}
# the last map of each level, 1 / 2^level of the half-size input's side
LAST = {2: 'conv2', 3: 'conv3_3', 4: 'conv4_2', 5: 'conv5_2', 6: 'conv6_2'}
SKIP_TO_DECONV = 8  # fitted, not the paper's: see FlowNetInception


class InceptionBlock(nn.Module):
    """Inception or Reduction of paper Tab. 8: parallel branches, concatenated.

    The paper does not say where Reduction's stride is; here it is on the first 3x3 of
    each branch, on the pooling, and on the 1x1 of the branch that has nothing else.

    Args:
        in_channels: Of the map that comes in.
        branches: The table's row.
    """

    def __init__(self, in_channels: int, branches: Branches) -> None:
        super().__init__()
        stride = branches.stride
        self.branches = nn.ModuleDict()
        if branches.reach1:
            layers = [(branches.reach1, 1, stride)]
            self.branches['reach1'] = _sequence(in_channels, layers)
        if branches.reach3:
            first, last = branches.reach3
            layers = [(first, 1, 1), (last, 3, stride)]
            self.branches['reach3'] = _sequence(in_channels, layers)
        if branches.reach5:
            first, middle, last = branches.reach5
            layers = [(first, 1, 1), (middle, 3, stride), (last, 3, 1)]
            self.branches['reach5'] = _sequence(in_channels, layers)
        if branches.pool:
            self.branches['pool'] = nn.Sequential(
                nn.MaxPool2d(3, stride, padding=1),
                *_sequence(in_channels, [(branches.pool, 1, 1)]),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, C', ceil(h / stride), ceil(w / stride))."""
        return torch.cat([branch(x) for branch in self.branches.values()], dim=1)


def _sequence(before: int, layers: Sequence[tuple[int, int, int]]) -> nn.Sequential:
    """Chain convolutions (channels, kernel, stride), each with LeakyReLU."""
    chain = []
    for channels, kernel, stride in layers:
        chain.append(Conv(before, channels, kernel, stride, kernel // 2))
        chain.append(nn.LeakyReLU(LEAK, inplace=True))
        before = channels
    return nn.Sequential(*chain)


@MODELS.register_module()
class FlowNetInception(RefinedFlowNet):
    """FlowNet Inception with a scale branch (paper Sec. 4, App. A, Tab. 8).

    `net(cur, key) -> (flow, scale)` on the frames of `FlowNetS`, of which it has the
    strides, the refinement and the predictions.

    Fitted, not the authors': Tab. 8 prints the encoder only. The refinement is
    FlowNet's (paper Tab. 6) on the last map of each level; its deconvolutions have an
    eighth of their skip's channels (48, 32, 16, 8), the most regular widths that give
    the complexity of Tab. 2, to 0.3 %. Not in the paper either: the place of the
    stride in Reduction (`InceptionBlock`) and the activation, FlowNet's LeakyReLU.

    Differs from paper: `downsample`, see `RefinedFlowNet`.

    Args:
        strides: stride of every feature level, in the levels' order.
        scale_channels: channels of the scale field: one int for all levels, a list
            with one per level, or None for no scale branch.
        downsample: 'pool' (as released) or 'bilinear' (the paper's text).
        init_cfg: mmengine initialisation, for example `Pretrained`.
    """

    def __init__(
        self,
        *,
        strides: Sequence[int] = (16,),
        scale_channels: int | Sequence[int] | None = 1024,
        downsample: str = 'pool',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            strides=strides,
            scale_channels=scale_channels,
            downsample=downsample,
            init_cfg=init_cfg,
        )
        self.conv1 = _sequence(2 * 3, [(STEM_CHANNELS, 7, 2)])  # both frames, RGB
        self.pool1 = nn.MaxPool2d(3, 2, padding=1)
        before = STEM_CHANNELS
        counts: dict[str, int] = {}
        for name, row in ENCODER.items():
            if isinstance(row, Branches):
                self.add_module(name, InceptionBlock(before, row))
                counts[name] = row.out_channels
            else:
                self.add_module(name, _sequence(before, [(row, 3, 2)]))
                counts[name] = row
            before = counts[name]
        maps = {level: counts[name] for level, name in LAST.items()}
        self._build_refinement(
            maps, {level: maps[level] // SKIP_TO_DECONV for level in REFINED}
        )

    def _encode(self, x: Tensor) -> dict[int, Tensor]:
        outs = {}
        x = self.pool1(self.conv1(x))
        for name in ENCODER:
            x = outs[name] = getattr(self, name)(x)
        return {level: outs[name] for level, name in LAST.items()}
