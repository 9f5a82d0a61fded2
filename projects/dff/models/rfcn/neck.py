"""The last layer of the paper's N_feat, for detection and segmentation.

Shape letters: N images, C channels, h, w feature size.
"""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class DilatedNeck(BaseModule):
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
            out_channels: C of the features; in R-FCN half of them go to each branch.
            dilation: of the 3x3 kernel (paper Sec. 4: 6).
            norm_cfg: a normalisation layer after the convolution. The release has
                none; after the linear last layer of a MobileNetV2 it is needed,
                or next to nothing is learnt.
            init_cfg: defaults to the release's normal with std 0.01 where no
                normalisation follows.

        Raises:
            ValueError: If ``out_channels`` is not positive.
        """
        if out_channels < 1:
            raise ValueError(f'out_channels must be positive, got {out_channels}')
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
