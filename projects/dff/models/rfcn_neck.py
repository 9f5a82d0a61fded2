"""The last layer of R-FCN's N_feat, whose halves feed the two branches.

Shape letters: N images, C channels, h, w feature size.
"""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class RFCNNeck(BaseModule):
    """Reduce the backbone's last map by a dilated 3x3 convolution (paper Sec. 4).

    Its output is what deep feature flow propagates.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 1024,
        *,
        dilation: int = 6,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        """Build the convolution.

        Args:
            in_channels: C of the backbone's last level.
            out_channels: C of the features; half of them go to each branch.
            dilation: of the 3x3 kernel (paper Sec. 4: 6).
            norm_cfg: a normalisation layer after the convolution. The release has
                none; after the linear last layer of a MobileNetV2 it is needed,
                or next to nothing is learnt.
            init_cfg: defaults to the release's normal with std 0.01 where no
                normalisation follows.

        Raises:
            ValueError: If ``out_channels`` cannot be halved.
        """
        if out_channels < 2 or out_channels % 2:
            raise ValueError(
                'out_channels must be even and positive, one half a '
                f'branch, got {out_channels}'
            )
        if init_cfg is None and norm_cfg is None:
            init_cfg = dict(type='Normal', layer='Conv2d', std=0.01)
        super().__init__(init_cfg=init_cfg)
        self.out_channels = out_channels
        self.conv = ConvModule(
            in_channels,
            out_channels,
            3,
            padding=dilation,
            dilation=dilation,
            norm_cfg=norm_cfg,
        )

    def forward(self, feats: Tensor | Sequence[Tensor]) -> tuple[Tensor]:
        """Return the features (N, C, h, w) as a tuple of one level.

        Args:
            feats: the backbone's levels, of which the last is read, or one map.
        """
        last = feats if isinstance(feats, Tensor) else feats[-1]
        return (self.conv(last),)


def split_branches(feat: Tensor) -> tuple[Tensor, Tensor]:
    """Split features (N, C, h, w) into the RPN's and the R-FCN branch's half.

    Raises:
        ValueError: If C is odd.
    """
    if feat.shape[1] % 2:
        raise ValueError(
            'R-FCN features must have an even number of channels, '
            f'one half a branch, got {feat.shape[1]}'
        )
    rpn_half, rfcn_half = feat.chunk(2, dim=1)
    return rpn_half, rfcn_half


def full_precision(maps: Tensor) -> Tensor:
    """Return ``maps`` in at least float32.

    Under autocast convolutions return half-precision maps, too coarse for box
    deltas: eight bits are four pixels at x = 1000.
    """
    return maps if maps.element_size() >= 4 else maps.float()
