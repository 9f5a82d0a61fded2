"""Draws that depend on the place in a training only."""

import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from dff.datasets.keyed_loader import KeyedDataset, make_keyed_loader


class Draws(Dataset):
    """An item is its index and a number of each generator."""

    metainfo = dict(classes=('a',))

    def __init__(self):
        self.left_out = []

    def __len__(self):
        return 7

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(1).item()

    def full_init(self):
        pass

    def update_skip_type_keys(self, keys):
        self.left_out += keys


def passes(sampler, workers=0, *, seed=3, skip=0, count=4):
    """Go through the data some times, as mmengine's loop does; give all batches."""
    data = Draws()
    loader = DataLoader(
        data,
        batch_size=2,
        sampler=sampler(data, shuffle=True, seed=seed),
        num_workers=workers,
        collate_fn=list,
    )
    loader = make_keyed_loader(loader, seed=seed, skip=skip)
    assert loader.dataset.metainfo == Draws.metainfo  # all else is handed on
    batches, epoch = [], 0
    while True:
        loader.batch_sampler.sampler.set_epoch(epoch)
        for batch in loader:
            batches.append(batch)
            if len(batches) == 4 * count - skip:
                return batches
        epoch += 1


@pytest.mark.parametrize('sampler', [DefaultSampler, InfiniteSampler])
def test_what_is_drawn_depends_on_the_place_only(sampler):
    whole = passes(sampler)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    assert passes(sampler, workers=1) == whole
    for skip in (1, 3, 4, 5, 8, 11):  # within a pass, at its end, over several
        assert passes(sampler, skip=skip) == whole[skip:]
    draws = [item[1:] for batch in whole for item in batch]
    for numbers in zip(*draws, strict=True):  # nothing comes twice
        assert len(set(numbers)) == len(draws)
    other = passes(sampler, seed=4)
    assert not {d for b in other for _, d, *_ in b} & {d for d, *_ in draws}


def test_transforms_are_left_out_of_all_parts():
    parts = [Draws(), Draws()]
    KeyedDataset(ConcatDataset(parts)).update_skip_type_keys(['Mosaic'])
    KeyedDataset(parts[0]).update_skip_type_keys(['MixUp'])
    assert [part.left_out for part in parts] == [['Mosaic', 'MixUp'], ['Mosaic']]
