"""Training on two gloo ranks beside one, with one and the same order of pairs."""

import pytest
import torch
from training_ranks import DETECTOR, SEGMENTOR, SIZE, on_two_ranks, train

from dff.checks.build import build_to_check
from dff.checks.inputs import make_pairs


def test_two_ranks_learn_what_one_does(tmp_path):
    """One pair a rank, or both in a batch; the second is a still.

    In eval mode: batch normalisation takes no part. Sums are in another order.
    """
    is_same = (False, True)
    found = on_two_ranks(SEGMENTOR, is_same, tmp_path)
    model = build_to_check(SEGMENTOR, size=SIZE)
    losses, weights = train(model, make_pairs(model, SIZE, is_same))
    both = [sum(pair) / 2 for pair in zip(*(loss for loss, _ in found), strict=True)]
    assert both == pytest.approx(losses, rel=1e-5)
    assert losses[-1] < losses[0]
    for _, theirs in found:
        assert theirs == pytest.approx(weights, rel=1e-4, abs=1e-6)


def test_a_rank_with_nothing_but_stills_neither_hangs_nor_drifts(tmp_path):
    (one, weights), (two, others) = on_two_ranks(DETECTOR, (False, True), tmp_path)
    assert torch.isfinite(torch.tensor(one + two)).all()
    assert weights == others
