"""Compare propagated features with those of the frame itself.

Shapes in this module: C channels, h, w cells inside the image.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .feature_maps import FrameMaps

ACTIVE_SHARE = 0.25  # of the channels; those to draw are among them
CHANNEL_RULE = (
    f'of the {ACTIVE_SHARE:.0%} of the channels that change most from the key frame to '
    'the current frames, those whose propagated maps correlate best with the true ones'
)


def check_channels(channels: Sequence[int], count: int) -> list[int]:
    """Return the channels as a list.

    Raises:
        ValueError: A channel is not in [0, count), or there are none.
    """
    wrong = [channel for channel in channels if not 0 <= channel < count]
    if wrong or not channels:
        raise ValueError(
            f'channels must be in [0, {count}), at least one, got {list(channels)}'
        )
    return list(channels)


def choose_channels(maps: Sequence[FrameMaps], count: int) -> list[int]:
    """Choose channels to draw by ``CHANNEL_RULE``, best first.

    A channel changes by the standard deviation, over cells, of the true map minus the
    map of the key frame. This and the correlation are means over the current frames.

    Args:
        maps: Of the key frame and the current frames.
        count: Number to choose, at least 1.

    Raises:
        ValueError: There are fewer channels than ``count``, or it is below 1.
    """
    key, *others = maps
    total = key.own.shape[0]
    if not 1 <= count <= total:
        raise ValueError(f'num_channels must be in [1, {total}], got {count}')
    change = np.mean([(m.own - key.own).std(axis=(1, 2)) for m in others], axis=0)
    active = np.argsort(-change)[: max(count, math.ceil(ACTIVE_SHARE * total))]
    likeness = np.mean([correlation(m.carried, m.own) for m in others], axis=0)
    likeness = np.where(np.isfinite(likeness), likeness, -1)[active]  # constant: last
    return [int(c) for c in active[np.argsort(-likeness, kind='stable')[:count]]]


def correlation(feats: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Correlate maps (C, h, w) over their cells: (C,), nan where one is constant."""
    a, b = (m.reshape(len(m), -1).astype(np.float64) for m in (feats, true))
    a, b = (m - m.mean(axis=1, keepdims=True) for m in (a, b))
    norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide(
        (a * b).sum(axis=1), norm, out=np.full(len(a), np.nan), where=norm > 0
    )


def relative_error(feats: np.ndarray, true: np.ndarray) -> float:
    """Return the mean of |feats - true| over the mean of |true|; any one shape."""
    mean = np.abs(true).mean(dtype=np.float64)
    error = np.abs(feats - true).mean(dtype=np.float64)
    return float(error / mean) if mean > 0 else math.nan


def measure(cur: FrameMaps, key: FrameMaps, channels: Sequence[int]) -> dict[str, Any]:
    """Compare propagated and copied features of a frame with its own.

    Returns:
        `error` with the relative errors of `propagated` and `copied` features over
        all channels and cells; `median_correlation` likewise, the median over
        channels; `channels` with both for each channel drawn; `flow` in pixels of the
        frame, mean and largest length; `scale`, its lowest and highest channel mean.
    """
    both = dict(propagated=cur.carried, copied=key.own)
    links = {name: correlation(feats, cur.own) for name, feats in both.items()}
    length = np.linalg.norm(cur.flow, axis=2)
    figures = dict(
        error={n: relative_error(f, cur.own) for n, f in both.items()},
        median_correlation={n: _median(link) for n, link in links.items()},
        flow=dict(mean=float(length.mean()), max=float(length.max())),
        channels={
            c: dict(
                error={n: relative_error(f[c], cur.own[c]) for n, f in both.items()},
                correlation={n: float(link[c]) for n, link in links.items()},
            )
            for c in channels
        },
    )
    if cur.scale is not None:
        mean = cur.scale.mean(axis=0)  # (h, w)
        figures['scale'] = dict(min=float(mean.min()), max=float(mean.max()))
    return figures


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan
