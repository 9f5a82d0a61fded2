"""Mixing 2 : 1 at any batch size, over time and ranks."""

import itertools
import json
from collections import Counter
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine.registry import DATA_SAMPLERS, DefaultScope
from processes import spawn_two
from ratio_ranks import Part, Parts, draw_pairs, mixed_dataset, rank_of_two
from torch.utils.data import DataLoader

from dff.datasets import RatioSampler
from dff.datasets.ratio_sampler import spread_sources


def draws(dataset, count, *, rank=0, world_size=1, **kwargs):
    info = 'dff.datasets.ratio_sampler.get_dist_info'
    kwargs = {**dict(ratio=[2, 1], seed=3), **kwargs}
    with mock.patch(info, return_value=(rank, world_size)):
        return list(itertools.islice(RatioSampler(dataset, **kwargs), count))


@pytest.mark.parametrize('batch_size', [1, 2, 4])
def test_3000_draws_on_one_rank(batch_size):
    dataset = Parts(101, 57)
    loader = DataLoader(
        dataset, batch_size, sampler=RatioSampler(dataset, [2, 1], seed=0)
    )
    sources = itertools.chain.from_iterable(batch.tolist() for batch in loader)
    assert Counter(itertools.islice(sources, 3000)) == {0: 2000, 1: 1000}


@pytest.mark.parametrize('world_size', [2, 3, 4, 8])
def test_3000_draws_of_each_rank_and_of_each_step(world_size):
    dataset = Parts(101, 57)
    sources = np.array(
        [
            [dataset.source(i) for i in draws(dataset, 3000, **where)]
            for where in (
                dict(rank=rank, world_size=world_size) for rank in range(world_size)
            )
        ]
    )
    assert (sources.sum(axis=1) == 1000).all()  # no rank prefers a source
    for start in range(3000 - 3):  # nor does any time
        assert (sources[:, start : start + 3].sum(axis=1) == 1).all()
    share = sources.sum(axis=0)  # of the second source, in each step
    assert np.abs(share - world_size / 3).max() < 1
    assert share.sum() == 1000 * world_size


@pytest.mark.parametrize('ratio', [[57834, 53639], [3, 1], [1, 1], [1, 4]])
def test_any_ratio_is_exact_over_a_period_and_near_it_before(ratio):
    period = sum(ratio)
    sources = np.fromiter(itertools.islice(spread_sources(ratio), period), int)
    counts = np.cumsum(sources == 1)
    assert counts[-1] == ratio[1]
    expected = np.arange(1, period + 1) * ratio[1] / period
    assert np.abs(counts - expected).max() < 1


def test_three_sources():
    sources = list(itertools.islice(spread_sources([3, 2, 1]), 6))
    assert sources == [0, 1, 0, 2, 1, 0]


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_ranks_share_each_pass_through_a_source(world_size):
    """All items once before any twice, but for what one rank is ahead."""
    dataset = Parts(40, 30)
    ranks = [
        draws(dataset, 60 // world_size + 3, rank=r, world_size=world_size)
        for r in range(world_size)
    ]
    for source, size in ((0, 40), (1, 30)):
        taken = [[i for i in items if dataset.source(i) == source] for items in ranks]
        quota = min(map(len, taken))  # what all ranks have drawn
        together = [i for items in taken for i in items[:quota]]
        once = min(len(together), size // world_size * world_size)
        first = [i for items in taken for i in items[: once // world_size]]
        assert len(set(first)) == len(first)


def test_shuffled_anew_in_each_pass_and_alike_for_a_seed():
    dataset = Parts(20, 10)
    items = draws(dataset, 60)
    assert items == draws(dataset, 60) != draws(dataset, 60, seed=4)
    first = [i for i in items if i < 20][:20]
    second = [i for i in items if i < 20][20:]
    assert sorted(first) == sorted(second) == list(range(20)) and first != second
    sampler = RatioSampler(dataset, [2, 1], seed=3)
    for _ in range(2):  # each iteration begins anew
        assert list(itertools.islice(sampler, 60)) == items
    assert draws(dataset, 6, shuffle=False) == [0, 20, 1, 2, 21, 3]


@pytest.fixture
def roots(make_vid_set):
    return make_vid_set((6, 9), name='vid'), make_vid_set((7,), name='det')


@pytest.mark.parametrize('batch_size, count', [(1, 3000), (4, 300)])
def test_pairs_stay_whole(roots, batch_size, count):
    """VID gives pairs, DET gives i = k, at 2 : 1."""
    mixed = mixed_dataset(*roots)
    sampler = RatioSampler(mixed, [2, 1], seed=0)
    sources = draw_pairs(mixed, sampler, batch_size=batch_size, count=count)
    assert Counter(sources) == {0: count // 3 * 2, 1: count // 3}
    assert all(sum(sources[i : i + 3]) == 1 for i in range(0, count, 3))


def test_3000_draws_on_two_real_ranks(roots, tmp_path):
    folder = tmp_path / 'ranks'
    folder.mkdir()
    spawn_two(rank_of_two, folder, roots)
    ranks = [json.loads((folder / f'{rank}.json').read_text()) for rank in (0, 1)]
    assert ranks[0]['seed'] == ranks[1]['seed']
    dataset = Parts(101, 57)
    for size in (1, 2, 4):
        drawn = np.array([rank[f'batch {size}'] for rank in ranks])
        is_det = np.vectorize(dataset.source)(drawn)
        assert is_det.sum(axis=1).tolist() == [1000, 1000]  # each rank 2 : 1 ...
        for start in range(3000 - 3):  # ... at any time
            assert (is_det[:, start : start + 3].sum(axis=1) == 1).all()
        assert is_det.sum(axis=0).max() == 1  # never both ranks on stills
        # what mocked ranks draw, and nothing twice in one pass through a source
        for rank in (0, 1):
            expected = draws(dataset, 3000, rank=rank, world_size=2)
            assert drawn[rank].tolist() == expected
        for start, stop in ((0, 101), (101, 158)):
            in_source = (drawn >= start) & (drawn < stop)
            half = (stop - start) // 2
            firsts = [d[k][:half] for d, k in zip(drawn, in_source, strict=True)]
            assert len(np.unique(firsts)) == 2 * half
    for rank in ranks:
        assert Counter(rank['pairs']) == {0: 200, 1: 100}


def test_is_built_by_name_under_mmdet():
    with DefaultScope.overwrite_default_scope('mmdet'):
        sampler = DATA_SAMPLERS.build(
            dict(type='RatioSampler', dataset=Parts(4, 2), ratio=[4, 2], seed=0)
        )
    assert sampler.ratio == [2, 1] and len(sampler) == 6


@pytest.mark.parametrize(
    'dataset, ratio, error, message',
    [
        (Part(4), [2, 1], TypeError, 'needs a ConcatDataset of its sources, got Part'),
        (Parts(4, 2), [1], ValueError, r'each of the 2 sources, got \[1\]'),
        (Parts(4, 2), [2, 0], ValueError, r'positive int.*got \[2, 0\]'),
        (Parts(4, 2), [1.5, 1], ValueError, r'positive int.*got \[1.5, 1\]'),
        (Parts(4, 0), [2, 1], ValueError, r'no source may be empty, got .*\[4, 0\]'),
    ],
)
def test_what_cannot_be_mixed_is_an_error(dataset, ratio, error, message):
    with pytest.raises(error, match=message):
        RatioSampler(dataset, ratio, seed=0)


def test_seed_is_agreed_on_where_none_is_given():
    sampler = RatioSampler(Parts(4, 2), [2, 1])
    assert isinstance(sampler.seed, int)
    assert torch.tensor(list(itertools.islice(sampler, 6))).max() < 6
