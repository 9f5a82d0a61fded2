"""SIFT flow: dense SIFT matched by belief propagation, coarse to fine.

C. Liu, J. Yuen, A. Torralba, SIFT Flow: Dense Correspondence across Scenes and its
Applications, PAMI 2011. Shapes: H, W image; D descriptor; K labels a window side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .belief_propagation import propagate
from .sift_descriptors import dense_sift

BLOCK = 8  # rows whose descriptors stay in the cache while they are compared


@dataclass(frozen=True)
class SiftFlowParameters:
    """What SIFT flow can be set to; the defaults are those of the authors' demo.

    Attributes:
        alpha: smoothness, for one pixel of difference between neighbours; matching
            costs are L1 distances of uint8 descriptors.
        d: limit of the smoothness cost.
        gamma: cost of one pixel of motion, of full size.
        levels: sizes of the pyramid, each half of the one before.
        radius: of the search window at full size, pixels; one more a level.
        top_radius: of the search window at the smallest size.
        iterations: of belief propagation; four of the authors' are one here (30).
        top_iterations: at the smallest size (60).
        cell_sizes: of the descriptors, pixels.
        is_subpixel: fit the belief around the best label, for fractions of a pixel.
    """

    alpha: float = 2 * 255
    d: float = 40 * 255
    gamma: float = 0.005 * 255
    levels: int = 4
    radius: int = 2
    top_radius: int = 10
    iterations: int = 8
    top_iterations: int = 15
    cell_sizes: Sequence[int] = (3,)
    is_subpixel: bool = False


def sift_flow(
    cur: np.ndarray, key: np.ndarray, parameters: SiftFlowParameters
) -> np.ndarray:
    """Match `cur` to `key`, both (H, W, 3) uint8; return the flow (H, W, 2) float32.

    The matching cost is truncated at the median of the level, which also stands for
    places outside of `key`, as in the authors' code.

    Differs from the released code: the images are continued to sides that can be halved
    (last row and column repeated), descriptors are halved by means of 2 x 2 after the
    same Gaussian, and the order of messages, see `propagate`.
    """
    height, width = cur.shape[:2]
    unit = 2 ** (parameters.levels - 1)
    below, right = -height % unit, -width % unit
    pyramids = []
    for image in (cur, key):
        image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        pyramids.append(_pyramid(dense_sift(image, parameters.cell_sizes), parameters))
    flow: Any = None  # (h, w, 2) of the coarser level
    for level in reversed(range(parameters.levels)):
        cur, key = (pyramid[level] for pyramid in pyramids)
        flow = _match(cur, key, flow, level, parameters)
    return np.ascontiguousarray(flow[:height, :width])


def _pyramid(
    descriptors: np.ndarray, parameters: SiftFlowParameters
) -> list[np.ndarray]:
    pyramid = [descriptors]
    while len(pyramid) < parameters.levels:
        smooth = cv2.GaussianBlur(pyramid[-1], (5, 5), 0.67)  # sigma of the release
        size = (smooth.shape[1] // 2, smooth.shape[0] // 2)
        pyramid.append(cv2.resize(smooth, size, interpolation=cv2.INTER_AREA))
    return pyramid


def _match(
    cur: np.ndarray,
    key: np.ndarray,
    coarse: np.ndarray | None,
    level: int,
    parameters: SiftFlowParameters,
) -> np.ndarray:
    """Match one level, around twice the flow of the coarser one (None: around 0)."""
    size = cur.shape[:2]
    if coarse is None:
        centre = np.zeros((*size, 2), np.float32)
        radius, iterations = parameters.top_radius, parameters.top_iterations
    else:
        centre = 2 * cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        radius, iterations = parameters.radius + level, parameters.iterations
    centre = np.rint(centre).astype(np.int64).transpose(0, 2, 1)  # (H, 2, W)
    belief = propagate(
        match_costs(cur, key, centre, radius),
        centre,
        alpha=parameters.alpha,
        d=parameters.d,
        gamma=parameters.gamma * 2**level,
        iterations=iterations,
    )
    best = belief.argmin(axis=1)  # (H, 2, W)
    flow = (centre + best - radius).astype(np.float32)
    if parameters.is_subpixel and level == 0:
        flow += _fraction(belief, best)
    return np.ascontiguousarray(flow.transpose(0, 2, 1))


def match_costs(
    cur: np.ndarray, key: np.ndarray, centre: np.ndarray, radius: int
) -> np.ndarray:
    """Compare every pixel's descriptor with a window of the other image's.

    Args:
        cur: descriptors (H, W, D) uint8.
        key: the same of the other image.
        centre: where the windows lie (H, 2, W), x before y, relative to the pixel.
        radius: K = 2 x radius + 1.

    Returns:
        L1 distances (H, K, K, W) float32, y before x, truncated at their median; what
        lies outside of the image costs as much.
    """
    height, width, depth = cur.shape
    labels = 2 * radius + 1
    key = key.reshape(-1, depth)
    cost = np.empty((height, labels, labels, width), np.float32)
    for top in range(0, height, BLOCK):
        block = slice(top, top + BLOCK)
        here = cur[block].reshape(-1, depth)
        there = np.empty_like(here)
        offset = np.arange(-radius, radius + 1)[:, None, None]
        y = offset + centre[block, 1] + np.arange(height)[block, None]  # (K, rows, W)
        x = offset + centre[block, 0] + np.arange(width)
        is_inside_y, is_inside_x = (y >= 0) & (y < height), (x >= 0) & (x < width)
        line, column = y.clip(0, height - 1) * width, x.clip(0, width - 1)
        for i, j in np.ndindex(labels, labels):
            index = (line[i] + column[j]).ravel()
            np.take(key, index, axis=0, out=there, mode='clip')
            cv2.absdiff(here, there, dst=there)
            distance = cv2.reduce(there, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
            is_inside = is_inside_y[i] & is_inside_x[j]
            cost[block, i, j] = np.where(is_inside, distance.reshape(-1, width), np.inf)
    limit = np.median(cost[np.isfinite(cost)])
    return np.minimum(cost, limit, out=cost)


def _fraction(belief: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Place the minimum between labels by two lines of equal slope, (H, 2, W)."""
    labels = belief.shape[1]
    middle = best.clip(1, labels - 2)[:, None]
    left, centre, right = (
        np.take_along_axis(belief, middle + i, axis=1)[:, 0] for i in (-1, 0, 1)
    )
    slope = np.maximum(left, right) - centre
    is_minimum = (best == middle[:, 0]) & (slope > 0)
    return np.where(is_minimum, (left - right) / (2 * np.where(slope > 0, slope, 1)), 0)
