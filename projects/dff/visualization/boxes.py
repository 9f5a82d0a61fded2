"""Draw boxes, masks and their labels on images with OpenCV.

Images are BGR uint8 (H, W, 3), as OpenCV reads and writes them. mmdet's own visualizer
draws on a Matplotlib canvas, which takes longer than a detector on a small frame.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from .caption import FONT

Color = tuple[int, int, int]
MASK_OPACITY = 0.5
REFERENCE = 480  # height or width, the smaller, of a frame with text of scale 0.45
TEXT_SCALE = 0.45
DARK = 140  # luminance below which text on a colour is white


def draw_boxes(
    image: np.ndarray,
    instances: Any,
    *,
    classes: Sequence[str] | None,
    palette: Sequence[Color],
    score_thr: float,
) -> np.ndarray:
    """Draw instances, the one with the highest score on top.

    Args:
        image: (H, W, 3).
        instances: `InstanceData` with `bboxes` (N, 4) as x1, y1, x2, y2 in pixels and
            `labels` (N,); optionally `scores` (N,), `masks` (N, H, W) and
            `instances_id` (N,), by which the colours are then chosen.
        classes: Names of the labels; None writes `class N`.
        palette: BGR colours.
        score_thr: Instances with scores up to this are not drawn.

    Returns:
        A copy of the image with the instances, (H, W, 3).
    """
    image = np.ascontiguousarray(image).copy()
    labels = _to_array(instances.labels).astype(int)
    scores, ids, masks = (
        _to_array(instances[name]) if name in instances else None
        for name in ('scores', 'instances_id', 'masks')
    )
    boxes = _whole_pixels(_to_array(instances.bboxes).reshape(-1, 4), image)
    order = np.arange(len(labels))
    if scores is not None:
        order = np.argsort(scores, kind='stable')
        order = order[scores[order] > score_thr]
    keys = labels if ids is None else ids.astype(int)
    colors = {i: palette[keys[i] % len(palette)] for i in order}
    if masks is not None:
        for i in order:
            _blend_mask(image, masks[i].astype(bool), colors[i])
    size = min(image.shape[:2])
    thickness = max(1, round(2 * size / REFERENCE))
    for i in order:
        corners = boxes[i].tolist()
        cv2.rectangle(image, corners[:2], corners[2:], colors[i], thickness)
    for i in order:
        name = f'class {labels[i]}' if classes is None else classes[labels[i]]
        if ids is not None:
            name += f' {int(ids[i])}'
        if scores is not None:
            name += f': {100 * scores[i]:.1f}'
        x, y = (int(side) + thickness for side in boxes[i, :2])
        _write(image, name, (x, y), colors[i], size / REFERENCE)
    return image


def _to_array(values: Any) -> np.ndarray:
    """Return a tensor, box or mask structure as an array."""
    if hasattr(values, 'to_ndarray'):
        return values.to_ndarray()  # mmdet's masks
    values = getattr(values, 'tensor', values)  # mmdet's boxes
    if hasattr(values, 'detach'):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def _whole_pixels(boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Round and clip boxes so that their lines are inside of the image."""
    bound = np.array([*image.shape[1::-1], *image.shape[1::-1]]) - 1
    boxes = np.nan_to_num(boxes.astype(np.float64))
    return np.clip(np.round(boxes), 0, bound).astype(int)


def _blend_mask(image: np.ndarray, mask: np.ndarray, color: Color) -> None:
    """Colour a mask (H, W), and its outline fully."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(ys):
        return
    part = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]  # OpenCV is fast on little
    inside, crop = mask[part].astype(np.uint8), np.ascontiguousarray(image[part])
    flat = np.full_like(crop, color)
    blended = cv2.addWeighted(crop, 1 - MASK_OPACITY, flat, MASK_OPACITY, 0)
    cv2.copyTo(blended, inside, crop)
    lines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(crop, lines, -1, color, 1)
    image[part] = crop


def _write(
    image: np.ndarray, text: str, corner: tuple[int, int], color: Color, zoom: float
) -> None:
    """Write a label on its colour, with its upper left corner inside of the image."""
    scale, thickness = max(0.3, TEXT_SCALE * zoom), max(1, round(zoom))
    (width, height), base = cv2.getTextSize(text, FONT, scale, thickness)
    gap = round(6 * zoom)  # the border of key frames
    x = max(0, min(corner[0], image.shape[1] - width - gap))
    y = max(0, min(corner[1], image.shape[0] - height - base - gap))
    end = (x + width + 1, y + height + base)
    cv2.rectangle(image, (x, y), end, color, -1)
    luminance = 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2]
    ink = (255,) * 3 if luminance < DARK else (0,) * 3
    where = (x + 1, y + height + base // 2)
    cv2.putText(image, text, where, FONT, scale, ink, thickness, cv2.LINE_AA)
