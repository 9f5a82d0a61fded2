"""FlowNetS and FlowNet Half, the flow function F with the scale field S.

Shapes: N batch; H, W full-size image; h, w a map.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from .layers import Conv
from .refinement import COARSEST, LEAK, RefinedFlowNet

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
LAST = 'conv6_1'
# refinement, coarse to fine: level, deconvolution channels, the skip joined there
DECODER = (
    (5, 512, 'conv5_1'),
    (4, 256, 'conv4_1'),
    (3, 128, 'conv3_1'),
    (2, 64, 'conv2'),
)


@MODELS.register_module()
class FlowNetS(RefinedFlowNet):
    """FlowNet, "Simple" version, with a scale branch (paper Sec. 3, Tab. 6 and 7).

    `net(cur, key) -> (flow, scale)`: M_{i->k} and S_{i->k} of Eq. (2), (3). Frames
    are full-size RGB in 0..255 units minus (123.15, 115.90, 103.06).

    Differs from paper: `downsample`, see `RefinedFlowNet`.

    Args:
        width: factor in (0, 1] on every channel count; 0.5 is FlowNet Half.
        strides: stride of every feature level, in the levels' order.
        scale_channels: channels of the scale field: one int for all levels, a list
            with one per level, or None for no scale branch.
        downsample: 'pool' (as released) or 'bilinear' (the paper's text).
        init_cfg: mmengine initialisation, for example `Pretrained`.

    Raises:
        TypeError: `width` is no number.
        ValueError: `width` is not in (0, 1].
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
        super().__init__(
            strides=strides,
            scale_channels=scale_channels,
            downsample=downsample,
            init_cfg=init_cfg,
        )
        if isinstance(width, bool) or not isinstance(width, int | float):
            raise TypeError(f'width must be a number in (0, 1], got {width!r:.80}')
        if not 0 < width <= 1:
            raise ValueError(f'width must be in (0, 1], got {width}')
        counts = {name: max(1, round(c * width)) for name, c, _, _ in ENCODER}
        before = 2 * 3  # both frames, RGB
        for name, _, kernel, stride in ENCODER:
            conv = Conv(before, counts[name], kernel, stride, kernel // 2)
            self.add_module(name, conv)
            before = counts[name]
        maps = {level: counts[skip] for level, _, skip in DECODER}
        self._build_refinement(
            {COARSEST: counts[LAST], **maps},
            {level: max(1, round(c * width)) for level, c, _ in DECODER},
        )

    def _encode(self, x: Tensor) -> dict[int, Tensor]:
        outs = {}
        for name, *_ in ENCODER:
            x = outs[name] = F.leaky_relu_(getattr(self, name)(x), LEAK)
        return {COARSEST: x, **{level: outs[skip] for level, _, skip in DECODER}}
