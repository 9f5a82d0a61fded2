"""States of the random number generators of Python, NumPy and torch.

A key is a tuple of whole numbers. It seeds all three generators.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Key = tuple[int, ...]


class RandomState(NamedTuple):
    """States of the three generators, of torch the one of the CPU."""

    python: tuple
    numpy: dict
    torch: Tensor

    @classmethod
    def capture(cls) -> 'RandomState':
        """Copy the current states."""
        numpy_state = np.random.get_state(legacy=False)
        return cls(random.getstate(), numpy_state, torch.get_rng_state())

    def restore(self) -> None:
        """Set the generators to these states."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)

    def equals(self, other: 'RandomState') -> bool:
        """Return whether both states produce the same numbers."""
        mine, theirs = self.numpy['state'], other.numpy['state']
        return (
            self.python == other.python
            and mine['pos'] == theirs['pos']
            and np.array_equal(mine['key'], theirs['key'])
            and torch.equal(self.torch, other.torch)
        )


def seed_generators(key: Key) -> None:
    """Seed the generators by `key`, those of torch on all devices."""
    torch.manual_seed(_seed_host(key))


@contextmanager
def temporarily_seeded(key: Key) -> Iterator[None]:
    """Seed the generators by `key` in the block, and restore their states after it.

    Generators of other devices than the CPU are not touched.
    """
    state = RandomState.capture()
    torch.default_generator.manual_seed(_seed_host(key))
    try:
        yield
    finally:
        state.restore()


def _seed_host(key: Key) -> int:
    """Seed Python and NumPy; return the seed for torch."""
    words = np.random.SeedSequence(key).generate_state(4)
    python, numpy, *rest = (int(word) for word in words)
    random.seed(python)
    np.random.seed(numpy)
    return rest[0] << 31 | rest[1] >> 1
