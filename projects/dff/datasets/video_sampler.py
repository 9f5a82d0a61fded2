"""Whole videos in frame order, each on one rank."""

from collections.abc import Iterator, Sized

from mmengine.dataset import ConcatDataset
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler


def get_video_spans(dataset: Sized) -> list[tuple[int, int]]:
    """Return (start, stop) of the items of each video of a data set.

    Raises:
        TypeError: The data set does not know its videos.
    """
    if isinstance(dataset, ConcatDataset):
        spans, start = [], 0
        for part in dataset.datasets:
            spans += [(start + a, start + b) for a, b in get_video_spans(part)]
            start += len(part)
        return spans
    if not hasattr(dataset, 'get_video_spans'):
        raise TypeError(
            f'VideoSampler needs a data set with get_video_spans(), such as '
            f'VideoPairDataset, got {type(dataset).__name__}'
        )
    # A shortened data set (num_batch_per_epoch) still tells of all videos.
    size = len(dataset)
    spans = ((a, min(b, size)) for a, b in dataset.get_video_spans())
    return [(a, b) for a, b in spans if a < b]


def assign_videos(lengths: list[int], num_ranks: int) -> list[list[int]]:
    """Give each video to the rank with the fewest frames, longest video first.

    Args:
        lengths: Frames of each video.
        num_ranks: How many ranks there are, perhaps more than videos.

    Returns:
        Videos of each rank, ascending. Every rank computes the same.
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
    """Deliver whole videos in frame order, balanced over ranks by frames.

    No item is repeated or left out, so ranks may differ in length, and a rank is
    idle where there are fewer videos than ranks. mmengine's test loop does not
    synchronise between batches and gathers lists of any length.
    """

    def __init__(self, dataset: Sized, seed: int | None = None) -> None:
        """Split the videos of `dataset`.

        Args:
            dataset: A `VideoPairDataset`, or several concatenated.
            seed: Accepted because the Runner passes it; nothing is random.
        """
        rank, world_size = get_dist_info()
        self.seed = seed
        spans = get_video_spans(dataset)
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
        """Do nothing: every epoch is in the same order."""
