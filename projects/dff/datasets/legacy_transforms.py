"""Resizing and flipping of the released code, where MMDetection's transforms differ.

Boxes (x1, y1, x2, y2) include their last pixel, as in ``models/rfcn/boxes.py``.
"""

from typing import Any

import cv2
from mmdet.datasets.transforms import RandomFlip, Resize
from mmdet.structures.bbox import autocast_box_type
from mmengine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ShortSideResize(Resize):
    """Resize the shorter side to a given length, within a limit of the longer side.

    ``Resize(keep_ratio=True)`` rounds the sides (half up) first and scales x and y by
    their ratios. This transform scales the image, and boxes, by one factor for x and
    y, and rounds the sides half to even: 1280 x 720 becomes 1000 x 562, not 563.
    """

    def __init__(self, scale: tuple[int, int], **kwargs: Any) -> None:
        """Set the sides.

        Args:
            scale: Longest longer side and the shorter side, pixels, in any order.
            kwargs: As for ``Resize``, except `keep_ratio` and `scale_factor`.
        """
        super().__init__(scale=tuple(scale), keep_ratio=False, **kwargs)

    def _resize_img(self, results: dict) -> None:
        image = results['img']
        short, long = sorted(image.shape[:2])
        factor = min(self.scale) / short
        if round(factor * long) > max(self.scale):
            factor = max(self.scale) / long
        image = cv2.resize(
            image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR
        )
        height, width = image.shape[:2]
        results.update(
            img=image,
            img_shape=(height, width),
            scale=(width, height),  # masks and label maps are resized to it
            scale_factor=(factor, factor),
            keep_ratio=True,
        )


@TRANSFORMS.register_module()
class LastPixelFlip(RandomFlip):
    """Flip boxes like pixels: pixel x becomes pixel W - 1 - x.

    MMDetection's transform maps the corner x to W - x. A box that includes its last
    pixel then ends up one pixel too far right (or down).
    """

    @autocast_box_type()
    def _flip(self, results: dict) -> None:
        super()._flip(results)
        if results.get('gt_bboxes') is not None:
            direction = results['flip_direction']
            dx = -1 if direction in ('horizontal', 'diagonal') else 0
            dy = -1 if direction in ('vertical', 'diagonal') else 0
            results['gt_bboxes'].translate_((dx, dy))
