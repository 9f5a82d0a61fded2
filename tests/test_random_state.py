"""Seeds and states of the generators of Python, NumPy and torch."""

import random

import numpy as np
import pytest
import torch

from dff.random_state import RandomState, seed_generators, temporarily_seeded


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_the_generators_go_on_as_if_nothing_was_drawn():
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = draw()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    with pytest.raises(KeyError), temporarily_seeded((1, 2)):
        draw()
        raise KeyError
    assert draw() == expected


def test_draws_depend_on_the_key_only():
    keyed = {}
    for key in ((3, 0), (3, 1), (0, 3)):
        seed_generators(key)
        keyed[key] = draw()
        with temporarily_seeded(key):
            assert draw() == keyed[key]
    assert len(set(keyed.values())) == 3


def test_a_restored_state_equals_the_captured_one():
    state = RandomState.capture()
    numbers = draw()
    assert not RandomState.capture().equals(state)
    state.restore()
    assert RandomState.capture().equals(state)
    assert draw() == numbers
