"""Distribute videos over ranks, in frame order, whole or cut at key frames."""

from collections.abc import Iterator, Sequence, Sized
from typing import Any

from mmengine.dataset import ConcatDataset
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

PIECES_PER_RANK = 64  # cut videos into about this many pieces per rank

Spans = list[tuple[int, int]]


def get_video_spans(dataset: Any, *, key_interval: int | None = None) -> Spans:
    """Return (start, stop) of the items of each video of a data set.

    Args:
        dataset: A `VideoPairDataset`, or several concatenated.
        key_interval: Return the parts from one key frame to the next instead, with
            this many frames between key frames.

    Raises:
        TypeError: If the data set has no `get_video_spans`.
    """
    if isinstance(dataset, ConcatDataset):
        spans, start = [], 0
        for part in dataset.datasets:
            part_spans = get_video_spans(part, key_interval=key_interval)
            spans += [(start + a, start + b) for a, b in part_spans]
            start += len(part)
        return spans
    if not hasattr(dataset, 'get_video_spans'):
        raise TypeError(
            f'VideoSampler needs a data set with get_video_spans(), such as '
            f'VideoPairDataset, got {type(dataset).__name__}'
        )
    # A shortened data set (num_batch_per_epoch) still returns all videos.
    size = len(dataset)
    if key_interval is None:
        spans = dataset.get_video_spans()
    else:
        spans = dataset.get_key_spans(key_interval)
    return [(a, min(b, size)) for a, b in spans if a < min(b, size)]


def join_spans(videos: Spans, parts: Spans, *, length: int) -> Spans:
    """Join parts of each video until they are at least `length` long.

    Args:
        videos: Ascending spans.
        parts: Ascending spans that fill the videos.
        length: Least length of a joined part, except for the last one of a video.
    """
    ends, joined = {stop for _, stop in videos}, []
    begin = None
    for start, stop in parts:
        begin = start if begin is None else begin
        if stop - begin >= length or stop in ends:
            joined.append((begin, stop))
            begin = None
    return joined


def assign_videos(lengths: Sequence[int], num_ranks: int) -> list[list[int]]:
    """Assign each video to the rank with the fewest frames, longest video first.

    Args:
        lengths: Number of frames of each video.
        num_ranks: Number of ranks. It may exceed the number of videos.

    Returns:
        Indices of the videos of each rank, ascending. Every rank computes the same.
    """
    videos: list[list[int]] = [[] for _ in range(num_ranks)]
    loads = [0] * num_ranks
    for video in sorted(range(len(lengths)), key=lambda v: (-lengths[v], v)):
        rank = loads.index(min(loads))
        videos[rank].append(video)
        loads[rank] += lengths[video]
    return [sorted(chosen) for chosen in videos]


@DATA_SAMPLERS.register_module()
class VideoSampler(Sampler):
    """Deliver videos in frame order, with about the same number of frames per rank.

    Every item is delivered exactly once, so ranks may have different numbers of items,
    or none. mmengine's test loop supports this: it does not synchronise between
    batches, and gathers lists of any length.

    Videos stay whole, so all ranks wait for the one with the longest video. With
    ``key_interval``, videos are cut before key frames if there are several ranks.
    Predictions stay the same, because a stream begins with a key frame after a cut.
    This needs a ``FixedKeyFrameScheduler`` whose interval divides ``key_interval``
    (``tools/test.py`` checks it), frames of one size per video, and metrics of single
    frames.
    """

    def __init__(
        self,
        dataset: Sized,
        seed: int | None = None,
        key_interval: int | None = None,
    ) -> None:
        """Split the videos of `dataset`.

        Args:
            dataset: A `VideoPairDataset`, or several concatenated.
            seed: Not used; the Runner passes it.
            key_interval: Frames from one key frame to the next, the l of the model or
                a multiple of it; None does not cut. Pairs (``test_offsets``) are cut
                where the key frame changes, whatever its value.

        Raises:
            TypeError: If the data set has no `get_video_spans`.
            ValueError: If ``key_interval`` is below 1.
        """
        if key_interval is not None and key_interval < 1:
            raise ValueError(f'key_interval must be at least 1, got {key_interval}')
        rank, world_size = get_dist_info()
        self.seed, self.key_interval = seed, key_interval
        spans = get_video_spans(dataset)
        if key_interval is not None and world_size > 1:
            total = sum(stop - start for start, stop in spans)
            parts = get_video_spans(dataset, key_interval=key_interval)
            length = -(-total // (PIECES_PER_RANK * world_size))
            spans = join_spans(spans, parts, length=length)
        lengths = [stop - start for start, stop in spans]
        mine = assign_videos(lengths, world_size)[rank]
        self.indices = [i for video in mine for i in range(*spans[video])]

    def __iter__(self) -> Iterator[int]:
        """Iterate over the items of this rank."""
        return iter(self.indices)

    def __len__(self) -> int:
        """Return the number of items of this rank."""
        return len(self.indices)

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the order is the same in every epoch."""
