"""mmdet's own entry points on a wrapped detector."""

import numpy as np
import torch
from detectors_under_test import build, read, shrink
from mmdet.apis import inference_detector, init_detector

from dff.checks.inputs import prepare_config

NAME = 'dff_yolox_s_vid'


def test_init_and_inference_give_what_the_stock_detector_gives(tmp_path):
    """`cfg_options` and `palette` keep mmdet from what only an image model has."""
    cfg = read(NAME)
    prepare_config(cfg.model)
    estimator = cfg.model.propagation.flow_estimator
    estimator.update(width=0.0625, scale_channels=shrink(cfg.model.detector))
    meta = dict(dataset_meta=dict(classes=tuple('abc')))
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=build(NAME).state_dict(), meta=meta), path)
    model = init_detector(cfg, str(path), 'random', device='cpu', cfg_options={})
    assert not model.training and model.dataset_meta['classes'] == tuple('abc')
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (2, 80, 120, 3)).astype(np.uint8))
    results = inference_detector(model, images)
    assert [r.is_key_frame for r in results] == [True, True]  # single images
    assert model.stream.is_empty
    detector, detector_cfg = model.detector, model.cfg
    detector.cfg = detector_cfg
    wanted = inference_detector(detector, images[1])
    assert len(wanted.pred_instances) > 0
    for key in ('bboxes', 'scores', 'labels'):
        ours = results[1].pred_instances[key]
        assert torch.equal(ours, wanted.pred_instances[key]), key
