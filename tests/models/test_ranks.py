"""Training on two gloo ranks beside one, with one and the same order of pairs."""

import detectors_under_test as detectors
import pytest
import torch
from late_models import FLOWNET
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


@pytest.mark.slow
def test_ranks_stay_alike_where_n_feat_ends_in_the_head(tmp_path):
    """Before the last layers; DDP waits for each parameter on each rank."""
    cfg = detectors.read('dff_retinanet_r50_fpn_vid')
    detectors.shrink(cfg.model.detector)
    cfg.model.propagation = dict(type='FeaturePropagation', flow_estimator=FLOWNET)
    cfg.model.split = 'last'
    for loss in ('loss_cls', 'loss_bbox'):  # large with random weights
        cfg.model.detector.bbox_head[loss].loss_weight = 1e-4
    cfg.dump(tmp_path / 'late.py')
    (one, weights), (two, others) = on_two_ranks(
        tmp_path / 'late.py', (False, True), tmp_path
    )
    assert torch.isfinite(torch.tensor(one + two)).all() and one != two
    assert weights == others
