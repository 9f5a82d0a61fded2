"""Random draws of training that depend on where in the training they are made.

What a generator gives depends on all that was drawn from it before, so a training that
was interrupted would go on with other draws. Here each item of each batch seeds the
generators anew, from the training's seed and its own place.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from dff.random_state import Key, temporarily_seeded


class KeyedDataset(Dataset):
    """A data set asked for (index, key) in the place of an index.

    Everything else is that of the data set inside.
    """

    def __init__(self, dataset: Any) -> None:
        """Keep the data set."""
        self.dataset = dataset

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.dataset)

    def __getitem__(self, place: tuple[int, Key]) -> Any:
        """Return an item, drawn with the key."""
        index, key = place
        with temporarily_seeded(key):
            return self.dataset[index]

    def update_skip_type_keys(self, skip_type_keys: Sequence[str]) -> None:
        """Leave transforms out, as YOLOXModeSwitchHook asks, in all parts."""
        for part in getattr(self.dataset, 'datasets', [self.dataset]):
            part.update_skip_type_keys(skip_type_keys)

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # not there yet, while a worker unpickles it
            raise AttributeError(name)
        return getattr(self.dataset, name)


class KeyedBatches:
    """Batches of another batch sampler, each index with its key.

    A key is (seed, pass through the data, batch, place in it, index).

    Args:
        batches: Batch sampler with a `sampler`.
        seed: Of the training.
        skip: Batches to leave out at the start; no item of these is read.
    """

    def __init__(
        self, batches: Iterable[Sequence[int]], *, seed: int, skip: int = 0
    ) -> None:
        self.batches, self.seed, self.skip = batches, seed, skip
        self.passes = 0  # that were left out as a whole
        self.epoch = 0

    @property
    def sampler(self) -> 'KeyedBatches':
        """Itself: where mmengine's hook and loop say which epoch it is."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Say which pass is next, of those that were not left out."""
        self.epoch = epoch + self.passes
        for sampler in (self.batches, getattr(self.batches, 'sampler', None)):
            if hasattr(sampler, 'set_epoch'):
                sampler.set_epoch(self.epoch)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, Key]]]:
        """Iterate over the batches that are not left out."""
        skip, self.skip = self.skip, 0
        while True:
            number = 0
            for number, batch in enumerate(self.batches, start=1):
                if skip:
                    skip -= 1
                    continue
                key = self.seed, self.epoch, number
                yield [(i, (*key, place, int(i))) for place, i in enumerate(batch)]
            if not skip or not number:
                return
            self.passes += 1
            self.set_epoch(self.epoch - self.passes + 1)


def with_keyed_draws(loader: DataLoader, *, seed: int, skip: int = 0) -> DataLoader:
    """Make a loader of the same data with keyed draws.

    Args:
        loader: A fresh one: nothing was drawn from its sampler.
        seed: Of the training.
        skip: See `KeyedBatches`.
    """
    workers = {}
    if loader.num_workers:
        workers = dict(
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
            multiprocessing_context=loader.multiprocessing_context,
        )
    return DataLoader(
        KeyedDataset(loader.dataset),
        batch_sampler=KeyedBatches(loader.batch_sampler, seed=seed, skip=skip),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        **workers,
    )
