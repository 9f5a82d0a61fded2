"""Resizing and flipping as the release does it, where stock transforms differ.

Boxes (x1, y1, x2, y2) hold their last pixel, as in ``models/rfcn_boxes.py``.
"""

from typing import Any

import cv2
from mmdet.datasets.transforms import RandomFlip, Resize
from mmdet.structures.bbox import autocast_box_type
from mmengine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ShortSideResize(Resize):
    """Resize the shorter side to a length, the longer one at most to another.

    Differs from ``Resize(keep_ratio=True)``, which rounds the sizes (half up) first
    and samples by their ratios: here one factor, x and y alike, samples the image,
    and is what boxes are multiplied with and detections divided by. The sides are
    rounded half to even: 1280 x 720 becomes 1000 x 562, not 563.
    """

    def __init__(self, scale: tuple[int, int], **kwargs: Any) -> None:
        """Set the sides.

        Args:
            scale: Limits of the longer and of the shorter side, in any order.
            kwargs: Those of ``Resize``, except `keep_ratio` and `scale_factor`.
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
            scale=(width, height),  # what masks and label maps are resized to
            scale_factor=(factor, factor),
            keep_ratio=True,
        )


@TRANSFORMS.register_module()
class LastPixelFlip(RandomFlip):
    """Flip so that pixel x becomes pixel W - 1 - x, in boxes as in the image.

    The stock transform mirrors corners about W, so that a box that holds its last
    pixel ends up one pixel too far right (or low).
    """

    @autocast_box_type()
    def _flip(self, results: dict) -> None:
        super()._flip(results)
        if results.get('gt_bboxes') is not None:
            direction = results['flip_direction']
            dx = -1 if direction in ('horizontal', 'diagonal') else 0
            dy = -1 if direction in ('vertical', 'diagonal') else 0
            results['gt_bboxes'].translate_((dx, dy))
