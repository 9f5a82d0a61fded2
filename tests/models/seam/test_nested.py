"""Nested maps as features and back."""

import pytest
import torch

from dff.models.seam.nested import (
    divide,
    merge,
    pack,
    pack_parts,
    stride_of,
    unpack,
    unpack_parts,
)


def assert_same(found, wanted):
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name in wanted:
            assert_same(found[name], wanted[name])
    elif isinstance(wanted, (tuple, list)):
        assert type(found) is type(wanted) and len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            assert_same(a, b)
    else:
        assert (found is None) == (wanted is None)
        assert wanted is None or torch.equal(found, wanted)


def test_maps_of_one_grid_become_one_level():
    a, b, c = (torch.rand(2, n, 8, 12) for n in (3, 5, 1))
    d, e = torch.rand(2, 4, 4, 6), torch.rand(2, 2, 1, 2)
    outputs = ([a, d], {'box': [b, e], 'none': None}, c)
    feats = pack(outputs, (64, 96))
    assert {n: tuple(m.shape) for n, m in feats.maps.items()} == {
        0: (2, 9, 8, 12),
        1: (2, 4, 4, 6),
        2: (2, 2, 1, 2),
    }
    assert torch.equal(feats.maps[0], torch.cat([a, b, c], 1)) and feats.num_levels == 3
    assert_same(unpack(feats), outputs)
    assert all(m.is_contiguous() for m in unpack(feats)[0])
    doubled = feats.with_maps({n: 2 * m for n, m in feats.maps.items()})
    assert torch.equal(unpack(doubled)[1]['box'][0], 2 * b)


def test_parts_have_levels_of_their_own():
    """The levels of the first part are the same whatever follows."""
    main, aux = torch.rand(1, 3, 8, 12), torch.rand(1, 7, 8, 12)
    alone = pack_parts({'main': main}, (64, 96))
    both = pack_parts({'main': main, 'aux': (aux,)}, (64, 96))
    assert torch.equal(both.maps[0], alone.maps[0])
    assert torch.equal(both.maps[1], aux)
    assert_same(unpack_parts(both), {'main': main, 'aux': (aux,)})
    assert_same(unpack_parts(alone), {'main': main})


def test_maps_are_divided_by_their_place_and_merged():
    a, b, c = (torch.rand(1, n, 2, 3) for n in (1, 2, 3))
    outputs = ([a, None], {'x': b}, (c,))
    one, two = divide(outputs, {1})
    assert_same(one, ([a, None], {'x': None}, (c,)))
    assert_same(two, ([None, None], {'x': b}, (None,)))
    assert_same(merge(one, two), outputs)


@pytest.mark.parametrize(
    'size, cells, stride',
    [
        ((64, 96), (8, 12), 8),
        ((70, 100), (9, 13), 8),  # rounded up
        ((70, 100), (8, 12), 8),  # rounded down
        ((65, 129), (17, 33), 4),
        ((128, 192), (1, 2), 128),
        ((128, 192), (2, 3), 64),
        ((513, 1025), (17, 33), 32),
    ],
)
def test_the_stride_of_a_map(size, cells, stride):
    assert stride_of(torch.zeros(1, 1, *cells), size) == stride


@pytest.mark.parametrize('cells', [(1, 1), (8, 8), (128, 192), (30, 8)])
def test_a_map_that_is_no_grid_is_refused(cells):
    with pytest.raises(ValueError, match='if it is a grid over the image'):
        stride_of(torch.zeros(1, 1, *cells), (256, 384))


def test_one_cell_is_a_grid_only_of_a_small_image():
    assert stride_of(torch.zeros(1, 1, 1, 1), (128, 200)) == 128
    with pytest.raises(ValueError, match='if it is a grid over the image'):
        stride_of(torch.zeros(1, 1, 1, 1), (256, 256))


def test_what_is_no_map_is_refused():
    with pytest.raises(TypeError, match=r'must be maps \(N, C, h, w\), got \(2, 5\)'):
        pack((torch.rand(2, 3, 8, 12), torch.rand(2, 5)), (64, 96))
    with pytest.raises(TypeError, match='float'):
        pack(1.0, (64, 96))
