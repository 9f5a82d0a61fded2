"""Select the items of `VideoPairDataset` from the frames of a `VideoIndex`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log

from .video_index import VideoIndex

MAX_COUNT = 2**31 - 1  # of frames, and of offsets


class Item(NamedTuple):
    """Indices of a frame and its key frame.

    Attributes:
        cur: Index of the frame.
        key: Index of the key frame; None in a stream, and where k is drawn.
        offset: The requested offset. A clamped key frame is nearer.
    """

    cur: int
    key: int | None = None
    offset: int | None = None


def select_training(
    index: VideoIndex,
    *,
    filter_cfg: dict,
    stride: int,
    max_frames: int | None,
    min_length: int = 1,
) -> list[Item]:
    """Select labelled frames.

    Args:
        index: The frames.
        filter_cfg: `filter_empty_gt` excludes frames without boxes, `min_size` frames
            with a shorter side, in pixels.
        stride: Take every n-th of the selected frames of a video.
        max_frames: Largest number of frames per video, evenly spread; None is all.
        min_length: Exclude videos with fewer frames.

    Raises:
        ValueError: If `filter_cfg` has another option.
    """
    unknown = set(filter_cfg) - {'filter_empty_gt', 'min_size'}
    if unknown:
        raise ValueError(
            'filter_cfg may have the options filter_empty_gt and min_size, got '
            f'{sorted(unknown)}'
        )
    wanted = index.is_labelled.copy()
    if filter_cfg.get('filter_empty_gt', False):
        wanted &= index.num_instances > 0
    wanted &= (index.min_sides < 0) | (index.min_sides >= filter_cfg.get('min_size', 0))
    items: list[Item] = []
    for start, stop in index.spans:
        if stop - start < min_length:
            continue
        frames = start + np.flatnonzero(wanted[start:stop])[::stride]
        if max_frames is not None and len(frames) > max_frames:
            picks = np.linspace(0, len(frames) - 1, max_frames).round().astype(int)
            frames = frames[picks]
        items.extend(Item(int(frame)) for frame in frames)
    return items


def select_test(
    index: VideoIndex, offsets: Sequence[int] | None, **options
) -> tuple[list[Item], int]:
    """Select all frames as a stream, or the pairs of :func:`select_pairs`.

    Args:
        index: The frames.
        offsets: The offsets, or None for a stream.
        options: Arguments of :func:`select_pairs`.

    Returns:
        The items, and the number of labelled frames that were excluded.
    """
    if offsets is None:
        return [Item(i) for i in range(len(index))], 0
    items, num_excluded = select_pairs(index, offsets, **options)
    print_log(
        f'{len(items)} pairs at offsets {list(offsets)}; {num_excluded} labelled '
        'frames excluded at all offsets, because a key frame is missing at one',
        logger='current',
    )
    return items, num_excluded


def select_pairs(
    index: VideoIndex,
    offsets: Sequence[int],
    *,
    clamp: bool,
    missing_is_error: bool,
    stride: int = 1,
) -> tuple[list[Item], int]:
    """Pair each labelled frame i with k = i - o for every offset o.

    All offsets get the same frames, so that their accuracies are comparable.

    Args:
        index: The frames.
        offsets: The offsets o >= 0.
        clamp: Whether the first frame of the video replaces key frames before it.
        missing_is_error: Whether a missing key frame inside a video raises an error.
            If not, the frames that need it are excluded.
        stride: Take every n-th frame of a video among those with all key frames.

    Returns:
        The pairs, grouped by key frame, so that a model runs N_feat once per key
        frame, and the number of labelled frames that were excluded.

    Raises:
        ValueError: If `stride` is below 1.
        FileNotFoundError: If a key frame is missing and `missing_is_error` is set.
    """
    if stride < 1:
        raise ValueError(f'frame_stride must be >= 1, got {stride}')
    items, num_excluded = [], 0
    for video, (start, stop) in enumerate(index.spans):
        pairs: list[Item] = []
        complete = 0
        first = index.frame_ids[start]
        for cur in range(start, stop):
            if not index.is_labelled[cur]:
                continue
            wanted = [index.frame_ids[cur] - offset for offset in offsets]
            if clamp:
                wanted = [max(frame_id, first) for frame_id in wanted]
            keys = [index.find(video, frame_id) for frame_id in wanted]
            holes = [
                int(frame_id)
                for frame_id, key in zip(wanted, keys, strict=True)
                if key is None and frame_id >= first
            ]
            if holes and missing_is_error:
                raise FileNotFoundError(
                    f'video {index.video_ids[video]!r} has no frames {holes}, the key '
                    f'frames of frame {int(index.frame_ids[cur])} (missing="nearest" '
                    'excludes such frames)'
                )
            if None in keys:
                num_excluded += 1
                continue
            complete += 1
            if (complete - 1) % stride:
                continue
            pairs.extend(
                Item(cur, key, int(offset))
                for key, offset in zip(keys, offsets, strict=True)
            )
        items.extend(sorted(pairs, key=lambda item: (item.key, item.cur)))
    return items, num_excluded


def split_at_key_frames(
    index: VideoIndex,
    items: Sequence[Item],
    videos: Sequence[tuple[int, int]],
    interval: int,
) -> list[tuple[int, int]]:
    """Split the items of each video before its key frames.

    Args:
        index: The frames.
        items: Items of a stream, without key frames, or pairs.
        videos: (start, stop) of the items of each video.
        interval: Number of frames from one key frame of a stream to the next.

    Returns:
        (start, stop) of the items of each part, in order.
    """
    edges = []
    for start, stop in videos:
        key = 0
        for position in range(start, stop):
            item, frame = items[position], index.frame_ids[items[position].cur]
            if position == start:
                is_cut = True
            elif item.key is not None:
                is_cut = item.key != items[position - 1].key
            else:
                before = index.frame_ids[items[position - 1].cur]
                is_cut = frame != before + 1 or frame - key >= interval
            if is_cut:
                edges.append(position)
                key = frame
    return list(zip(edges, [*edges[1:], len(items)], strict=True))


def _is_int(value: Any) -> bool:
    is_int = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_int and abs(value) <= MAX_COUNT


def check_counts(**counts: int) -> None:
    """Check that options of VideoPairDataset are counts.

    Raises:
        TypeError: If an option is not an integer.
        ValueError: If an option is below 1.
    """
    for name, count in counts.items():
        if not _is_int(count):
            raise TypeError(f'{name} must be an integer >= 1, got {count!r:.80}')
        if count < 1:
            raise ValueError(f'{name} must be >= 1, got {count}')


def check_options(
    offset_range: Sequence[int],
    test_offsets: Sequence[int] | None,
    missing: str,
    test_mode: bool,
) -> None:
    """Check options of VideoPairDataset.

    Raises:
        TypeError: If offsets are not integers.
        ValueError: If an option is out of range, or two options conflict.
    """
    options = dict(offset_range=offset_range, test_offsets=test_offsets)
    for name, offsets in options.items():
        if offsets is None and name == 'test_offsets':
            continue
        is_list = isinstance(offsets, Sequence) and not isinstance(offsets, str)
        if not is_list or not all(map(_is_int, offsets or ())):
            raise TypeError(f'{name} must be a list of integers, got {offsets!r:.80}')
    if len(offset_range) != 2 or not 0 <= offset_range[0] <= offset_range[1]:
        raise ValueError(
            f'offset_range must be (low, high) with 0 <= low <= high, got '
            f'{tuple(offset_range)}'
        )
    if missing not in ('error', 'nearest'):
        raise ValueError(f'missing must be "error" or "nearest", got {missing!r}')
    if test_offsets is None:
        return
    if not test_mode:
        raise ValueError('test_offsets needs test_mode=True')
    offsets = list(test_offsets)
    if not offsets or min(offsets) < 0 or len(set(offsets)) != len(offsets):
        raise ValueError(f'test_offsets must be unique and >= 0, got {offsets}')
