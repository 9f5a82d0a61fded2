"""Draw feature channels of key, current and propagated frames (paper Fig. 1).

Shapes in this module: C channels, h, w cells inside the image, H, W frame.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from dff.apis import VideoInferencer
from dff.files import write_atomically, write_json
from dff.visualization import flow_to_color
from dff.visualization.panels import (
    Panel,
    check_picture_path,
    color_bar,
    fit,
    flow_wheel,
    heat_map,
    map_to_panel,
    panel_grid,
    write_picture,
)
from dff_study.reports.tables import rows_to_markdown

from .chosen_frames import read_frames
from .feature_likeness import CHANNEL_RULE, check_channels, choose_channels, measure
from .feature_maps import FrameMaps, carry_features

MAP_COLORS = 'viridis'
SCALE_COLORS = 'coolwarm'  # white is S = 1


def save_features(
    video: Any,
    config: str | os.PathLike | Config,
    checkpoint: str | os.PathLike | None,
    *,
    out: str | os.PathLike,
    key: int = 0,
    offsets: Sequence[int] = (1, 3, 5, 9),
    channels: Sequence[int] | None = None,
    num_channels: int = 3,
    level: int = 0,
    panel_width: int = 240,
    device: str = 'cpu',
) -> dict[str, Any]:
    """Draw features that are propagated from a key frame beside the true ones.

    Args:
        video: See :func:`dff.apis.open_frames`.
        config: Of a DFF model; ``checkpoint`` has its weights (None: random ones).
        checkpoint: See ``config``.
        out: Picture to write, `.png` or `.jpg`; a `.json` beside it gets the figures.
        key: Number k of the key frame, from 0.
        offsets: i - k of the current frames, from 1.
        channels: To draw; None chooses ``num_channels`` by ``CHANNEL_RULE``.
        num_channels: Number to choose if ``channels`` is None.
        level: Index of the propagated feature level.
        panel_width: In pixels.
        device: Where the model runs.

    Returns:
        The figures written; see ``make_figures``.

    Raises:
        ValueError: The video lacks a frame, or the model a level or channel.
    """
    check_picture_path(out)
    if not offsets or min(offsets) < 1 or len(set(offsets)) < len(offsets):
        raise ValueError(f'offsets must be different and at least 1, got {offsets}')
    images = read_frames(video, [key, *(key + offset for offset in offsets)])
    inferencer = VideoInferencer(config, checkpoint, device=device, interval=1)
    maps = carry_features(inferencer, images, level=level)
    drawn, rule = _choose(maps, channels, num_channels)
    figures = dict(key=key, level=level, channels=drawn, chosen_by=rule)
    figures |= make_figures(maps, offsets, drawn)
    picture = draw_features(maps, figures, panel_width=panel_width)
    with write_atomically(out) as temporary:
        write_picture(picture, temporary)
        write_json(figures, Path(out).with_suffix('.json'))
    return figures


def make_figures(
    maps: Sequence[FrameMaps], offsets: Sequence[int], channels: Sequence[int]
) -> dict[str, Any]:
    """Measure each current frame; see ``measure``.

    Returns:
        `num_channels` of the features, and `frames`, one entry per offset.
    """
    key, *others = maps
    frames = [
        dict(offset=offset, **measure(cur, key, channels))
        for offset, cur in zip(offsets, others, strict=True)
    ]
    return dict(num_channels=len(key.own), frames=frames)


def draw_features(
    maps: Sequence[FrameMaps], figures: dict[str, Any], *, panel_width: int
) -> np.ndarray:
    """Draw a row per frame: the frame, its flow, scale and channels.

    Each column has one colour range. In the row of the key frame, the columns of the
    fields and of the propagated maps show this range.

    Args:
        maps: Key frame and current frames.
        figures: Of ``save_features``.
        panel_width: In pixels; the height follows from the frames.

    Returns:
        BGR uint8, laid out by :func:`dff.visualization.panels.panel_grid`: frame,
        flow, scale (if any), then N_feat and propagated features of each channel.
    """
    height, width = maps[0].image.shape[:2]
    size = (max(1, round(panel_width * height / width)), panel_width)
    columns = [_frames(maps, figures, size), _flows(maps, figures, size)]
    if all(cur.scale is not None for cur in maps[1:]):
        columns.append(_scales(maps, figures, size))
    for channel in figures['channels']:
        columns += _channel(maps, figures, size, channel)
    return panel_grid(list(zip(*columns, strict=True)))


def tabulate(figures: dict[str, Any]) -> str:
    """Write the figures as a Markdown table with a row per current frame."""
    head = ['offset', 'flow, mean and longest, px', 'error, propagated', 'copied']
    head += ['median correlation, propagated', 'copied']
    head += [
        f'correlation of channel {c}, propagated, copied' for c in figures['channels']
    ]
    rows = []
    for frame in figures['frames']:
        row = [str(frame['offset']), '{mean:.1f}, {max:.1f}'.format(**frame['flow'])]
        for name in ('error', 'median_correlation'):
            row += [f'{frame[name][kind]:.3f}' for kind in ('propagated', 'copied')]
        for channel in frame['channels'].values():
            row.append(
                '{propagated:.3f}, {copied:.3f}'.format(**channel['correlation'])
            )
        rows.append(row)
    return rows_to_markdown(head, rows)


def _choose(
    maps: Sequence[FrameMaps], channels: Sequence[int] | None, count: int
) -> tuple[list[int], str]:
    """Return the channels to draw and how they were chosen."""
    if channels is None:
        return choose_channels(maps, count), CHANNEL_RULE
    return check_channels(channels, len(maps[0].own)), 'named'


def _frames(maps: Sequence[FrameMaps], figures: dict, size: tuple) -> list[Panel]:
    lines = [f'frame {figures["key"]}', 'key frame']
    panels = [Panel(fit(maps[0].image, size), lines, is_key=True)]
    for cur, frame in zip(maps[1:], figures['frames'], strict=True):
        error = 'error {propagated:.2f}, copied {copied:.2f}'.format(**frame['error'])
        lines = [f'key + {frame["offset"]}', error]
        panels.append(Panel(fit(cur.image, size), lines))
    return panels


def _flows(maps: Sequence[FrameMaps], figures: dict, size: tuple) -> list[Panel]:
    longest = max(frame['flow']['max'] for frame in figures['frames'])
    longest = max(longest, np.finfo(np.float32).eps)
    wheel = flow_wheel(size, max_norm=longest)
    panels = [Panel(wheel, ['flow to the key frame', f'rim: {longest:.1f} px'])]
    for cur, frame in zip(maps[1:], figures['frames'], strict=True):
        colors = flow_to_color(cur.flow, max_norm=longest)
        length = 'mean {mean:.1f}, longest {max:.1f} px'.format(**frame['flow'])
        panels.append(Panel(fit(colors, size), ['flow', length]))
    return panels


def _scales(maps: Sequence[FrameMaps], figures: dict, size: tuple) -> list[Panel]:
    means = [cur.scale.mean(axis=0) for cur in maps[1:]]  # (h, w) each
    bound = max(float(np.abs(mean - 1).max()) for mean in means)
    low, high = 1 - bound, 1 + bound
    bar = color_bar(size, name=SCALE_COLORS)
    panels = [Panel(bar, ['scale, mean over channels', f'{low:.3f} to {high:.3f}'])]
    for cur, mean, frame in zip(maps[1:], means, figures['frames'], strict=True):
        colors = heat_map(mean, low=low, high=high, name=SCALE_COLORS)
        span = '{min:.3f} to {max:.3f}'.format(**frame['scale'])
        image = map_to_panel(colors, size, reach=cur.reach)
        panels.append(Panel(image, ['scale', span]))
    return panels


def _channel(
    maps: Sequence[FrameMaps], figures: dict, size: tuple, channel: int
) -> tuple[list[Panel], list[Panel]]:
    """Return the columns of N_feat and of propagated maps, with one colour range."""
    values = [m[channel] for frame in maps for m in (frame.own, frame.carried)]
    low, high = (float(f(values)) for f in (np.min, np.max))

    def panel(values: np.ndarray, frame: FrameMaps, lines: list[str], **key) -> Panel:
        colors = heat_map(values, low=low, high=high, name=MAP_COLORS)
        return Panel(map_to_panel(colors, size, reach=frame.reach), lines, **key)

    title = f'channel {channel}'
    own = [panel(maps[0].own[channel], maps[0], [title, 'key frame'], is_key=True)]
    bar = color_bar(size, name=MAP_COLORS)
    carried = [Panel(bar, [title, f'{low:.2f} to {high:.2f}'])]
    for cur, frame in zip(maps[1:], figures['frames'], strict=True):
        link = frame['channels'][channel]['correlation']
        line = 'corr. {propagated:.2f}, copied {copied:.2f}'.format(**link)
        own.append(panel(cur.own[channel], cur, [title, 'N_feat']))
        carried.append(panel(cur.carried[channel], cur, ['propagated', line]))
    return own, carried
