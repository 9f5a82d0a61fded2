"""Which levels of a segmentor are propagated, and what belongs inside it."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from segmentors_under_test import (
    SIZE,
    build,
    step,
    stock,
)

from dff.models import DFFVideoSegmentor

pytestmark = pytest.mark.filterwarnings('ignore')


def test_levels_can_be_named():
    model = build('fcn', feature_levels=(2, -1)).eval()
    feats = model.seam.head(torch.zeros(1, 3, *SIZE))
    assert list(feats.maps) == [0, 1]
    given = [feat is not None for feat in model.seam.tail(feats)]
    assert given == [False, False, True, True]


def test_strides_that_do_not_fit_name_the_levels():
    init_default_scope('mmseg')
    model = build('fcn')
    wrong = dict(type='FlowNetS', width=0.0625, strides=(8,), scale_channels=None)
    model = DFFVideoSegmentor(
        segmentor=stock('fcn'),
        propagation=dict(type='FeaturePropagation', flow_estimator=wrong),
    )
    with pytest.raises(ValueError, match=r'has strides \(8,\).*2 feature levels'):
        step(model.train())


def test_registration_and_what_belongs_inside():
    assert MODELS.get('DFFVideoSegmentor') is DFFVideoSegmentor
    cfg = stock('fcn')
    preprocessor = cfg.pop('data_preprocessor')
    with pytest.raises(ValueError, match='segmentor must have a data_preprocessor'):
        build('fcn', cfg=cfg)
    model = build('fcn', cfg=cfg, data_preprocessor=preprocessor)
    assert model.segmentor.data_preprocessor.size == SIZE
    with pytest.raises(ValueError, match="pretrained belongs into.*got 'x'"):
        build('fcn', pretrained='x')
    assert build('fcn', pretrained=None, train_cfg=None)
