from itertools import product

import numpy as np
from numpy.testing import assert_allclose

from dff.models.flow.sift.belief_propagation import (
    Chains,
    dual_messages,
    lower_envelope,
    propagate,
)

ALPHA, D = 1.5, 4.0


def smoothness(p, q):
    return min(ALPHA * abs(p - q), D)


def test_lower_envelope_equals_the_minimum_over_all_labels():
    cost = np.random.default_rng(0).uniform(0, 20, (11, 6)).astype(np.float32)
    expected = [
        [min(cost[m, c] + ALPHA * abs(k - m) for m in range(11)) for c in range(6)]
        for k in range(11)
    ]
    lower_envelope(cost, np.float32(ALPHA))
    assert_allclose(cost, expected, rtol=1e-6)


def test_a_message_equals_the_minimum_over_the_labels_of_another_window():
    rng = np.random.default_rng(1)
    unary = rng.uniform(0, 9, (2, 5, 2, 40)).astype(np.float32)
    centre = rng.integers(-6, 7, (2, 2, 40))  # windows that overlap and that do not
    received = Chains(centre, 5, alpha=ALPHA, d=D).pass_messages(unary)
    for to, (plane, chain) in product((0, 1), np.ndindex(2, 40)):
        near, far = centre[to, plane, chain], centre[1 - to, plane, chain]
        message = np.array(
            [
                min(
                    unary[1 - to, m, plane, chain] + smoothness(near + k, far + m)
                    for m in range(5)
                )
                for k in range(5)
            ]
        )
        assert_allclose(
            received[to, :, plane, chain], message - message.min(), atol=1e-5
        )


def test_dual_messages_equal_loops():
    rng = np.random.default_rng(2)
    cost = rng.uniform(0, 9, (3, 5, 5, 4)).astype(np.float32)
    unary = rng.uniform(0, 9, (3, 5, 2, 4)).astype(np.float32)
    received = dual_messages(cost, unary)
    for y, x, k in np.ndindex(3, 4, 5):
        to_u = min(cost[y, v, k, x] + unary[y, v, 1, x] for v in range(5))
        to_v = min(cost[y, k, u, x] + unary[y, u, 0, x] for u in range(5))
        assert_allclose(received[y, k, :, x], [to_u, to_v], rtol=1e-6)


def best_chain(unary, centre):
    """Try all labels of a chain: unary (T, K), centre (T,)."""
    labels = range(-(unary.shape[1] // 2), unary.shape[1] // 2 + 1)

    def energy(choice):
        own = sum(u[c - labels[0]] for u, c in zip(unary, choice, strict=True))
        flow = [c + m for c, m in zip(choice, centre, strict=True)]
        return own + sum(map(smoothness, flow[1:], flow))

    return min(product(labels, repeat=len(unary)), key=energy)


def test_on_a_chain_the_result_is_the_exhaustive_minimum():
    rng = np.random.default_rng(3)
    for is_column in (False, True):
        for _ in range(10):
            # costs of u and of v add up: no loop over the planes, so it is exact
            parts = rng.uniform(0, 6, (2, 7, 3)).astype(np.float32)
            centre = rng.integers(-2, 3, (2, 7))
            cost = parts[1][:, :, None] + parts[0][:, None, :]  # (7, v, u)
            cost = cost[..., None] if is_column else cost.transpose(1, 2, 0)[None]
            windows = centre.T[..., None] if is_column else centre[None]
            belief = propagate(cost, windows, alpha=ALPHA, d=D, gamma=0.3, iterations=2)
            best = belief.argmin(axis=1) - 1  # (1, 2, 7) or (7, 2, 1)
            best = best[..., 0].T if is_column else best[0]
            for plane in range(2):
                prior = 0.3 * np.abs(centre[plane][:, None] + [-1, 0, 1])
                expected = best_chain(parts[plane] + prior, centre[plane])
                assert tuple(best[plane]) == expected


def test_noise_on_a_grid_is_smoothed_and_a_step_is_kept():
    rng = np.random.default_rng(4)
    truth = np.zeros((12, 16, 2), int)
    truth[:, 8:] = (2, -1)
    offsets = np.arange(-2, 3)
    cost = np.empty((12, 5, 5, 16), np.float32)
    for y, x in np.ndindex(12, 16):
        u, v = truth[y, x]
        cost[y, :, :, x] = 4 * (offsets[:, None] != v) + 4 * (offsets[None] != u)
    cost += rng.uniform(0, 6, cost.shape).astype(np.float32)
    centre = np.zeros((12, 2, 16), int)
    settings = dict(alpha=ALPHA, d=D, gamma=0.0)
    alone = propagate(cost, centre, **settings, iterations=0).argmin(axis=1) - 2
    found = propagate(cost, centre, **settings, iterations=6).argmin(axis=1) - 2
    assert (alone.transpose(0, 2, 1) != truth).any(axis=-1).mean() > 0.1
    assert (found.transpose(0, 2, 1) == truth).all()
