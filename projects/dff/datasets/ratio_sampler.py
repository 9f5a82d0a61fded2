"""Mix data sets at a ratio that holds over time and ranks."""

import itertools
import math
from collections.abc import Iterator, Sequence, Sized

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler


def spread_sources(ratio: Sequence[int]) -> Iterator[int]:
    """Yield the number of a source without end, each as evenly spread as possible.

    The next source is the one furthest behind its share. After every `sum(ratio)`
    draws, divided by the greatest common divisor, each source has exactly its share.

    Args:
        ratio: Positive whole numbers, one per source.
    """
    period = sum(ratio)
    credits = [0] * len(ratio)
    while True:
        credits = [credit + part for credit, part in zip(credits, ratio, strict=True)]
        source = credits.index(max(credits))
        credits[source] -= period
        yield source


@DATA_SAMPLERS.register_module()
class RatioSampler(Sampler):
    """Draw from the sources of a `ConcatDataset` at a ratio, without end.

    MMDetection's samplers fix the share of a source in each batch, which at batch size
    1 never draws the second source. This sampler fixes it over consecutive draws of a
    rank, so that it holds at any batch size. Ranks start at different positions in the
    sequence of sources. So no rank is tied to a source, and the draws of all ranks in
    one step have the ratio, too, as nearly as whole numbers allow.

    Each pass through a source has a new random order. The ranks share this order, so
    that no item is drawn twice before all are drawn. Use it with `IterBasedTrainLoop`.
    """

    def __init__(
        self,
        dataset: Sized,
        ratio: Sequence[int],
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        """Check the sources.

        Args:
            dataset: `ConcatDataset` of the sources.
            ratio: Positive whole numbers, one per source. VID + DET: `[2, 1]` in the
                paper, the lengths of the two lists in the released code.
            shuffle: Whether to shuffle each source.
            seed: Seed, the same on all ranks; None makes the ranks agree on a random
                one.

        Raises:
            TypeError: If the data set is not a `ConcatDataset`.
            ValueError: If `ratio` does not fit the sources, or a source is empty.
        """
        if not hasattr(dataset, 'datasets'):
            raise TypeError(
                'RatioSampler needs a ConcatDataset of its sources, got '
                f'{type(dataset).__name__}'
            )
        self.sizes = [len(part) for part in dataset.datasets]
        is_whole = all(isinstance(part, int) and part > 0 for part in ratio)
        if not is_whole or len(ratio) != len(self.sizes):
            raise ValueError(
                'ratio must be one positive int for each of the '
                f'{len(self.sizes)} sources, got {list(ratio)}'
            )
        if not all(self.sizes):
            raise ValueError(f'no source may be empty, got sizes {self.sizes}')
        divisor = math.gcd(*ratio)
        self.ratio = [part // divisor for part in ratio]
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset

    def __iter__(self) -> Iterator[int]:
        """Iterate over the items of this rank, from the start."""
        # Ranks begin at equal distances within one period of the sequence.
        start = round(self.rank * sum(self.ratio) / self.world_size)
        sources = itertools.islice(spread_sources(self.ratio), start, None)
        items = [
            itertools.islice(self._items_of(source), self.rank, None, self.world_size)
            for source in range(len(self.sizes))
        ]
        return (next(items[source]) for source in sources)

    def __len__(self) -> int:
        """Return the number of items of the data set, like other endless samplers."""
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: there are no epochs."""

    def _items_of(self, source: int) -> Iterator[int]:
        """Yield the items of a source for all ranks, without end."""
        offset, size = sum(self.sizes[:source]), self.sizes[source]
        generator = torch.Generator()
        generator.manual_seed(self.seed + source)
        while True:
            if self.shuffle:
                order = torch.randperm(size, generator=generator)
            else:
                order = torch.arange(size)
            yield from (order + offset).tolist()
