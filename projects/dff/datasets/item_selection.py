"""Which frames of a `VideoIndex` are delivered."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from .video_index import VideoIndex

MOST = 2**31 - 1  # of any count of frames


class Item(NamedTuple):
    """Indices of a frame and of its key frame, None for a stream or a draw.

    `offset` is the one asked for; a clamped key is nearer.
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
    """Choose labelled frames.

    Args:
        index: The frames.
        filter_cfg: `filter_empty_gt` leaves out frames without boxes, `min_size`
            those with a shorter side.
        stride: Take every n-th of the chosen frames of a video.
        max_frames: Take at most so many of a video, evenly spread.
        min_length: Leave out videos of fewer frames.
    """
    unknown = set(filter_cfg) - {'filter_empty_gt', 'min_size'}
    if unknown:
        raise ValueError(
            f'filter_cfg knows filter_empty_gt and min_size, got {sorted(unknown)}'
        )
    wanted = index.is_labelled.copy()
    if filter_cfg.get('filter_empty_gt', False):
        wanted &= index.num_instances > 0
    wanted &= (index.min_sides < 0) | (index.min_sides >= filter_cfg.get('min_size', 0))
    items = []
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
    """Choose all frames as a stream, or the pairs of :func:`select_pairs`.

    Args:
        index: The frames.
        offsets: The offsets, None for a stream.
        options: Of :func:`select_pairs`.

    Returns:
        The items, and how many labelled frames were left out.
    """
    if offsets is None:
        return [Item(i) for i in range(len(index))], 0
    items, left_out = select_pairs(index, offsets, **options)
    print_log(
        f'{len(items)} pairs at offsets {list(offsets)}; {left_out} labelled frames '
        'left out of every offset, for want of predecessors',
        logger='current',
    )
    return items, left_out


def select_pairs(
    index: VideoIndex,
    offsets: Sequence[int],
    *,
    clamp: bool,
    missing_is_error: bool,
    stride: int = 1,
) -> tuple[list[Item], int]:
    """Pair each labelled frame i with k = i - o for every offset o.

    All offsets get the same frames, so that their accuracies compare.

    Args:
        index: The frames.
        offsets: The offsets o >= 0.
        clamp: Whether the first frame of the video stands in for those before it.
        missing_is_error: Whether a hole inside a video raises; else its
            successors are left out, too.
        stride: Take every n-th of a video's frames that have all their keys.

    Returns:
        The pairs, key by key, so that a model runs N_feat once a key frame, and how
        many labelled frames were left out.
    """
    if stride < 1:
        raise ValueError(f'frame_stride must be >= 1, got {stride}')
    items, left_out = [], 0
    for video, (start, stop) in enumerate(index.spans):
        pairs, complete = [], 0
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
                    f'video {index.video_ids[video]!r} has no frames {holes}, keys of '
                    f'frame {int(index.frame_ids[cur])} (missing="nearest" leaves '
                    'such frames out)'
                )
            if None in keys:
                left_out += 1
                continue
            complete += 1
            if (complete - 1) % stride:
                continue
            pairs.extend(
                Item(cur, key, int(offset))
                for key, offset in zip(keys, offsets, strict=True)
            )
        items.extend(sorted(pairs, key=lambda item: (item.key, item.cur)))
    return items, left_out


def key_spans(
    index: VideoIndex,
    items: Sequence[Item],
    videos: Sequence[tuple[int, int]],
    interval: int,
) -> list[tuple[int, int]]:
    """Cut the items of each video before its key frames.

    Args:
        index: The frames.
        items: To cut; of a stream, without keys, or pairs.
        videos: (start, stop) of each video's items.
        interval: From one key frame of a stream to the next.
    """
    edges = []
    for start, stop in videos:
        key = 0
        for place in range(start, stop):
            item, frame = items[place], index.frame_ids[items[place].cur]
            if place == start:
                is_cut = True
            elif item.key is not None:
                is_cut = item.key != items[place - 1].key
            else:
                before = index.frame_ids[items[place - 1].cur]
                is_cut = frame != before + 1 or frame - key >= interval
            if is_cut:
                edges.append(place)
                key = frame
    return list(zip(edges, [*edges[1:], len(items)], strict=True))


def _is_int(value: object) -> bool:
    is_int = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_int and abs(value) <= MOST


def check_counts(**counts: int) -> None:
    """Refuse options of VideoPairDataset that are no counts.

    Raises:
        TypeError: If one is no integer.
        ValueError: If one is less than 1.
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
    """Refuse options of VideoPairDataset that contradict themselves.

    Raises:
        TypeError: If offsets are no integers.
        ValueError: If they make no sense.
    """
    given = dict(offset_range=offset_range, test_offsets=test_offsets)
    for name, offsets in given.items():
        if offsets is None and name == 'test_offsets':
            continue
        is_list = isinstance(offsets, Sequence) and not isinstance(offsets, str)
        if not is_list or not all(map(_is_int, offsets)):
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
