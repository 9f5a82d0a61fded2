"""Load training data with random draws that depend only on the position in training.

The numbers of a generator depend on all earlier draws, so an interrupted training would
continue with other numbers. Here each item of each batch seeds the generators anew, by
the seed of the training and the position of the item.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from dff.random_state import Key, temporarily_seeded


class KeyedDataset(Dataset):
    """Wrap a data set so that its items are indexed by (index, key).

    The key seeds the random draws of the item. Other attributes are those of the
    wrapped data set.
    """

    def __init__(self, dataset: Any) -> None:
        """Wrap `dataset`."""
        self.dataset = dataset

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.dataset)

    def __getitem__(self, index_and_key: tuple[int, Key]) -> Any:
        """Return an item, with random draws seeded by the key."""
        index, key = index_and_key
        with temporarily_seeded(key):
            return self.dataset[index]

    def update_skip_type_keys(self, skip_type_keys: Sequence[str]) -> None:
        """Skip transforms in all concatenated data sets, for YOLOXModeSwitchHook."""
        for part in getattr(self.dataset, 'datasets', [self.dataset]):
            part.update_skip_type_keys(skip_type_keys)

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # not set yet while a worker unpickles this object
            raise AttributeError(name)
        return getattr(self.dataset, name)


class KeyedBatches:
    """Batches of another batch sampler, with a key for each index.

    A key is (seed, pass through the data, batch, position in the batch, index).

    Args:
        batches: Batch sampler with a `sampler`.
        seed: Seed of the training.
        skip: Number of batches to skip at the start. Their items are not read.
    """

    def __init__(
        self, batches: Any, *, seed: int, skip: int = 0
    ) -> None:
        self.batches, self.seed, self.skip = batches, seed, skip
        self.skipped_passes = 0
        self.epoch = 0

    @property
    def sampler(self) -> 'KeyedBatches':
        """This object, so that mmengine's hook and loop set its epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next pass, not counting skipped passes."""
        self.epoch = epoch + self.skipped_passes
        for sampler in (self.batches, getattr(self.batches, 'sampler', None)):
            if sampler is not None and hasattr(sampler, 'set_epoch'):
                sampler.set_epoch(self.epoch)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, Key]]]:
        """Iterate over the batches that are not skipped."""
        skip, self.skip = self.skip, 0
        while True:
            number = 0
            for number, batch in enumerate(self.batches, start=1):
                if skip:
                    skip -= 1
                    continue
                key = self.seed, self.epoch, number
                yield [(i, (*key, at, int(i))) for at, i in enumerate(batch)]
            if not skip or not number:
                return
            self.skipped_passes += 1
            self.set_epoch(self.epoch - self.skipped_passes + 1)


def make_keyed_loader(loader: DataLoader, *, seed: int, skip: int = 0) -> DataLoader:
    """Build a loader of the same data whose draws depend only on the position.

    Args:
        loader: A new loader, from whose sampler nothing was drawn.
        seed: Seed of the training.
        skip: Number of batches to skip, see `KeyedBatches`.
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
