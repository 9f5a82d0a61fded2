"""Encoders of transformers mask the padding, wherever N_feat ends."""

import detectors_under_test as detectors
import pytest
import torch
from wrapped_models import SIZE

from dff.checks.inputs import make_pairs, make_sample, make_stream, random_frame

pytestmark = pytest.mark.filterwarnings('ignore')
SMALL = (96, 160)


def build(name):
    propagation = dict(
        type='FeaturePropagation', flow_estimator=dict(type='ClassicalFlow')
    )
    cfg = detectors.read(name)
    detectors.shrink(cfg.model.detector)
    cfg.model.detector.data_preprocessor.pad_size_divisor = 160
    cfg.model.split, cfg.model.propagation = 'scores', propagation
    return detectors.build_to_check(cfg, size=SIZE)


NAMES = ['dff_detr_r50_vid', 'dff_deformable-detr_r50_vid']


@pytest.mark.parametrize('name', NAMES)
def test_a_padded_frame_is_predicted_as_by_the_image_model(name):
    model = build(name)
    (found,) = model.test_step(make_stream(model, SIZE, [(0, 'a', 0)]))
    stock = dict(
        inputs=[random_frame(0, SIZE)], data_samples=[make_sample(model, SIZE)]
    )
    (wanted,) = model.image_model.test_step(stock)
    assert torch.equal(found.pred_instances.scores, wanted.pred_instances.scores)
    assert torch.equal(found.pred_instances.bboxes, wanted.pred_instances.bboxes)


@pytest.mark.parametrize('name', NAMES)
def test_stills_of_two_sizes_have_the_loss_of_the_image_model(name):
    """A batch is padded to its largest image."""
    model = build(name)
    parts = [make_pairs(model, size, [True]) for size in (SIZE, SMALL)]
    data = dict(
        inputs={n: [part['inputs'][n][0] for part in parts] for n in ('cur', 'key')},
        data_samples=[part['data_samples'][0] for part in parts],
    )
    model.train()
    data = model.data_preprocessor(data, training=True)
    samples, totals = data['data_samples'], []
    for losses in (
        lambda: model.loss(data['inputs'], samples),
        lambda: model.image_model.loss(data['inputs']['cur'], samples),
    ):
        torch.manual_seed(0)  # dropout
        with torch.no_grad():
            total, _ = model.parse_losses(losses())
        totals.append(total)
    assert torch.equal(*totals)
