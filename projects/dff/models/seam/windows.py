"""Windows of an image that a model looks at in turn.

Shapes: N images, H, W image, C channels, h, w a feature level.
"""

from collections.abc import Sequence

from torch import Tensor

Window = tuple[int, int, int, int]  # y1, x1, y2, x2 in pixels of the padded image


def slide_windows(
    size: Sequence[int], crop_size: Sequence[int], stride: Sequence[int]
) -> list[Window]:
    """List the windows of mmseg's ``slide_inference``, in its order.

    Args:
        size: (H, W) of the image.
        crop_size: (height, width) of a window.
        stride: (vertical, horizontal) distance of windows.
    """
    rows, columns = (
        _spans(*sides) for sides in zip(size, crop_size, stride, strict=True)
    )
    return [(y1, x1, y2, x2) for y1, y2 in rows for x1, x2 in columns]


def _spans(side: int, crop: int, stride: int) -> list[tuple[int, int]]:
    """Return start and end of each window along one side."""
    count = max(side - crop + stride - 1, 0) // stride + 1
    ends = [min(index * stride + crop, side) for index in range(count)]
    return [(max(end - crop, 0), end) for end in ends]


def cut(images: Tensor, window: Window) -> Tensor:
    """Return a window of images (N, 3, H, W), a view."""
    y1, x1, y2, x2 = window
    return images[..., y1:y2, x1:x2]


def shape_inside(shape: Sequence[int], window: Window) -> tuple[int, int]:
    """Return the size (H, W) of the part of a window inside an image of ``shape``."""
    y1, x1, y2, x2 = window
    height, width = shape[:2]
    return max(0, min(height, y2) - y1), max(0, min(width, x2) - x1)


def join_windows(
    maps: Sequence[Tensor],
    windows: Sequence[Window],
    *,
    size: Sequence[int],
    stride: int,
) -> Tensor:
    """Join the maps of windows; where windows overlap, the later one counts.

    Args:
        maps: (N, C, h, w) of each window, one cell for ``stride`` pixels.
        windows: Where they are.
        size: (H, W) of the whole image, which the windows cover.
        stride: Pixels per cell; corners that lie within a cell are rounded.

    Returns:
        One map (N, C, ceil(H / stride), ceil(W / stride)).
    """
    if len(maps) == 1:
        return maps[0]
    total = [-(-side // stride) for side in size]
    whole = maps[0].new_zeros(*maps[0].shape[:2], *total)  # (N, C, h, w)
    for window, part in zip(windows, maps, strict=True):
        height, width = part.shape[-2:]
        y = min(round(window[0] / stride), total[0] - height)
        x = min(round(window[1] / stride), total[1] - width)
        whole[..., y : y + height, x : x + width] = part
    return whole
