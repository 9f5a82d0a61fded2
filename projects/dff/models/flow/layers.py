"""Convolutions of the flow networks.

Shapes: N batch; C channels; h, w a map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# On a CPU, a convolution that has more weights than positions spends its time on
# re-ordering the weights; as a plain product of matrices it takes a third.
FEW_POSITIONS = 64


def _is_tiny(x: Tensor) -> bool:
    return (
        x.device.type == 'cpu'
        and x.shape[0] == 1
        and x.shape[-2] * x.shape[-1] <= FEW_POSITIONS
    )


def halve(x: Tensor) -> Tensor:
    """Average 2x2 cells of (N, C, h, w); at an odd border, those that exist.

    These are the values of ``avg_pool2d``, which takes up to four times as long on a
    CPU.
    """
    is_short = x.element_size() < 4  # which avg_pool2d sums in float32
    if x.device.type != 'cpu' or is_short or min(x.shape[-2:]) < 2:
        return F.avg_pool2d(x, 2, ceil_mode=True)
    height, width = (side // 2 * 2 for side in x.shape[-2:])
    upper, lower = x[..., 0:height:2, :width], x[..., 1:height:2, :width]
    half = upper[..., ::2] + upper[..., 1::2]
    half = half.add_(lower[..., ::2]).add_(lower[..., 1::2]).mul_(0.25)
    if height < x.shape[-2]:
        last = F.avg_pool2d(x[..., height:, :width], 2, ceil_mode=True)
        half = torch.cat([half, last], dim=-2)
    if width < x.shape[-1]:
        last = F.avg_pool2d(x[..., width:], 2, ceil_mode=True)
        half = torch.cat([half, last], dim=-1)
    return half  # (N, C, ceil(h / 2), ceil(w / 2))


class Conv(nn.Conv2d):
    """Convolution that is a product of matrices on tiny maps."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w)."""
        if self.stride != (1, 1) or not _is_tiny(x):
            return super().forward(x)
        columns = F.unfold(x, self.kernel_size, padding=self.padding)[0]
        out = torch.addmm(self.bias[:, None], self.weight.flatten(1), columns)
        return out.view(1, -1, *x.shape[-2:])  # (1, C, h, w)


class Upsample(nn.ConvTranspose2d):
    """Deconvolution 4x4, stride 2, with bias, cropped by (1, 1) to the skip's size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=4, stride=2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Bring x (N, C, h, w) to the height and width of `skip`."""
        height, width = skip.shape[-2:]
        return self._deconvolve(x)[..., 1 : 1 + height, 1 : 1 + width]

    def _deconvolve(self, x: Tensor) -> Tensor:
        if not _is_tiny(x):
            return super().forward(x)
        columns = self.weight.flatten(1).t() @ x[0].flatten(1)
        size = tuple(2 * side + 2 for side in x.shape[-2:])
        out = F.fold(columns[None], size, self.kernel_size, stride=self.stride)
        return out + self.bias.view(1, -1, 1, 1)

    def init_bilinear(self) -> None:
        """Make a 2 -> 2 deconvolution the bilinear up-sampling of x and of y."""
        row = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.weight.zero_()
            for channel in range(self.out_channels):
                self.weight[channel, channel] = torch.outer(row, row)
            self.bias.zero_()
