"""Colour optical flow.

Images are BGR uint8 (H, W, 3), as OpenCV reads and writes them.
"""

from functools import lru_cache

import cv2
import numpy as np
from mmcv.visualization import make_color_wheel
from torch import Tensor

# A colour is looked up in a table, which is ten times as fast as computing it.
STEPS, MARGIN = 250, 3  # entries from no motion to full colour, and beyond it
FLOW_RANGE = 0.03  # motion of full colour, as a fraction of the image diagonal


def flow_to_color(flow: np.ndarray, *, max_norm: float | None = None) -> np.ndarray:
    """Colour a flow by the Middlebury wheel: hue is direction, saturation is length.

    Args:
        flow: (h, w, 2), x and y in pixels. Values that are not finite become black.
        max_norm: Length of full colour; longer flow is darkened. None is the largest
            length in the flow.

    Returns:
        BGR uint8 (h, w, 3), white where nothing moves.

    Raises:
        ValueError: If the flow has another shape.
    """
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise ValueError(f'flow must be (h, w, 2), got {flow.shape}')
    is_known = np.isfinite(flow).all(axis=2)
    flow = np.where(is_known[..., None], flow, 0).astype(np.float64)
    norm = np.linalg.norm(flow, axis=2)
    if max_norm is None:
        max_norm = max(norm.max(initial=0), np.finfo(np.float32).eps)
    norm = (norm / max_norm)[..., None]  # (h, w, 1)
    wheel = make_color_wheel()  # (bins, 3) RGB
    turn = np.arctan2(-flow[..., 1], -flow[..., 0]) / np.pi  # -1..1
    position = (turn + 1) / 2 * (len(wheel) - 1)
    left = np.floor(position).astype(int)
    weight = (position - left)[..., None]
    hue = (1 - weight) * wheel[left] + weight * wheel[(left + 1) % len(wheel)]
    color = np.where(norm <= 1, 1 - norm * (1 - hue), 0.75 * hue)
    color[~is_known] = 0
    return np.round(color[..., ::-1] * 255).astype(np.uint8)


def flow_at_image_size(
    flow: Tensor, stride: int, *, img_shape: tuple, ori_shape: tuple
) -> np.ndarray:
    """Resize the flow of a model to the size of the frame, in pixels of the frame.

    Args:
        flow: (1, 2, h, w), in pixels of its own map.
        stride: Pixels of the model's input per cell of the flow.
        img_shape: Size (H, W) of the model's input without padding.
        ori_shape: Size (H, W) of the frame.

    Returns:
        (H, W, 2) in pixels of the frame.
    """
    cells = [-(-side // stride) for side in img_shape[:2]]
    field = flow[0, :, : cells[0], : cells[1]].detach().float().cpu().numpy()
    field = np.ascontiguousarray(field.transpose(1, 2, 0)) * stride  # (h, w, 2)
    # the last cells extend beyond the border: enlarge whole cells, then crop
    (height, width), (rows, cols) = ori_shape[:2], field.shape[:2]
    y, x = height / img_shape[0], width / img_shape[1]
    full = (round(cols * stride * x), round(rows * stride * y))
    field = cv2.resize(field, full, interpolation=cv2.INTER_LINEAR)
    return field[:height, :width] * np.array([x, y], np.float32)


def overlay_flow(
    image: np.ndarray, flow: np.ndarray, *, alpha: float = 0.5
) -> np.ndarray:
    """Blend the colours of a flow over an image.

    The colours have the same range for all frames of a size, 3 % of the diagonal. Their
    opacity grows with the motion: pixels that do not move stay unchanged.

    Args:
        image: (H, W, 3) BGR uint8.
        flow: (H, W, 2) in pixels.
        alpha: Largest opacity of the colours, 0 to 1.

    Returns:
        (H, W, 3) BGR uint8.

    Raises:
        ValueError: If image and flow differ in size.
    """
    if image.shape[:2] != flow.shape[:2]:
        raise ValueError(
            f'flow must have the size of the image {image.shape[:2]}, got '
            f'{flow.shape[:2]}'
        )
    max_norm = FLOW_RANGE * float(np.hypot(*image.shape[:2]))
    steps = np.nan_to_num(flow, posinf=0, neginf=0).astype(np.float32)
    steps *= STEPS / max_norm
    x, y = cv2.split(steps)
    # longer flow is darker, whatever its length
    shrink = np.minimum(1, (STEPS + MARGIN) / np.maximum(cv2.magnitude(x, y), 1))
    centre = STEPS + 2 * MARGIN
    x, y = x * shrink + centre, y * shrink + centre
    color, strength = (
        cv2.remap(table, x, y, cv2.INTER_NEAREST) for table in _overlay_tables()
    )
    weight = alpha * strength
    return cv2.blendLinear(np.ascontiguousarray(image), color, 1 - weight, weight)


@lru_cache(maxsize=1)
def _overlay_tables() -> tuple[np.ndarray, np.ndarray]:
    """Return colour (D, D, 3) and opacity (D, D) of flow in steps, 0 in the middle."""
    reach = STEPS + 2 * MARGIN
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    flow = np.stack([x, y], axis=2) / STEPS
    norm = np.linalg.norm(flow, axis=2)
    return flow_to_color(flow, max_norm=1), np.clip(2 * norm, 0, 1)
