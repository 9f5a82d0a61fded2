"""`dff.wrap`: a video model around an image model by one call."""

import detectors_under_test as detectors
import pytest
import segmentors_under_test as segmentors
import torch
from mmdet.registry import MODELS as DETECTORS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS as SEGMENTORS
from wrapped_models import SIZE, frame, randomise

import dff
from dff.checks.inputs import make_stream

pytestmark = pytest.mark.filterwarnings('ignore')


def segmentor():
    init_default_scope('mmseg')
    model = SEGMENTORS.build(segmentors.stock('fcn'))
    randomise(model)
    return model.eval()


def detector():
    init_default_scope('mmdet')
    cfg = detectors.read('dff_retinanet_r50_fpn_vid')
    detectors.shrink(cfg.model.detector)
    model = DETECTORS.build(cfg.model.detector)
    randomise(model)
    return model.eval()


def test_a_segmentor_shares_its_weights_and_key_frames_are_its_own():
    model = segmentor()
    model.cfg, model.dataset_meta = 'the config', dict(classes=('a',))
    video = dff.wrap(model, interval=2, cut_detector=None)  # frames are random
    assert video.segmentor is model and not video.training
    assert (video.cfg, video.dataset_meta) == (model.cfg, model.dataset_meta)
    with torch.no_grad():
        stream = segmentors.stream_batch(*((i, 'a', i) for i in range(3)))
        results = video.test_step(stream)
        stock = dict(inputs=[frame(2)], data_samples=[segmentors.sample()])
        wanted = model.test_step(stock)[0]
    assert [r.is_key_frame for r in results] == [True, False, True]
    assert torch.equal(results[2].seg_logits.data, wanted.seg_logits.data)


def test_a_detector_in_an_inferencer_and_options():
    class Inferencer:
        model = detector()

    video = dff.wrap(Inferencer(), 5, split='backbone', cut_detector=None)
    assert video.detector is Inferencer.model and video.split == 'backbone'
    assert video.propagation.flow_estimator.strides == (8, 16, 32, 64, 128)
    results = video.test_step(make_stream(video, SIZE, [(0, 'a', 0), (1, 'a', 1)]))
    assert [r.offset for r in results] == [0, 1]
    assert 'pred_instances' in results[1]


def test_a_config_and_its_path(tmp_path):
    model = segmentors.stock('fcn')
    cfg = Config(dict(default_scope='mmseg', model=model))
    path = tmp_path / 'stock.py'
    cfg.dump(path)
    for given in (cfg, path, str(path)):
        video = dff.wrap(given, interval=3)
        assert type(video.segmentor).__name__ == 'EncoderDecoder'
        assert video.key_frame_scheduler.interval == 3


def test_what_cannot_be_wrapped_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.py does not exist'):
        dff.wrap(tmp_path / 'nothing.py')
    with pytest.raises(ModuleNotFoundError, match='package no_such_zoo is not'):
        dff.wrap('no_such_zoo::a.py')  # mmengine would pip install it
    with pytest.raises(TypeError, match='model must be a detector .* got Linear'):
        dff.wrap(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match='got int'):
        dff.wrap(5)
    bare = segmentor()
    del bare.data_preprocessor
    with pytest.raises(TypeError, match='must have a data_preprocessor of its own'):
        dff.wrap(bare)
    with pytest.raises(ValueError, match="default_scope must be one of .* got 'mmx'"):
        dff.wrap(Config(dict(default_scope='mmx', model={})))


def test_a_flow_without_a_type_is_named_by_the_registry():
    propagation = dict(type='FeaturePropagation', flow_estimator=dict(preset='fast'))
    for split in (None, 'backbone'):
        with pytest.raises(KeyError, match='must contain the key "type"'):
            dff.wrap(segmentor(), propagation=propagation, split=split)
