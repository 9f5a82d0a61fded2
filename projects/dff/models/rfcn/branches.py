"""The halves of R-FCN's features, one for each branch.

Shape letters: N images, C channels, h, w feature size.
"""

from torch import Tensor


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
