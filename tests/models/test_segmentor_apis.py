"""mmseg's own entry points on a wrapped segmentor."""

import warnings

import numpy as np
import torch
from mmengine.config import Config
from mmseg.apis import inference_model, init_model, show_result_pyplot
from mmseg.datasets import CityscapesDataset
from segmentors_under_test import CASES, stock

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 64)),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]


def make_model(folder):
    case = CASES['bisenetv2']
    flow = dict(
        type='FlowNetS',
        width=0.0625,
        strides=case.strides,
        scale_channels=case.channels,
    )
    cfg = Config(
        dict(
            default_scope='mmseg',
            model=dict(
                type='DFFVideoSegmentor',
                segmentor=stock('bisenetv2'),
                propagation=dict(type='FeaturePropagation', flow_estimator=flow),
            ),
            test_pipeline=PIPELINE,
            test_dataloader=dict(dataset=dict(type='CityscapesDataset')),
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = init_model(cfg, device='cpu')
        meta = dict(dataset_meta=CityscapesDataset.METAINFO)
        torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'a.pth')
        return init_model(cfg, str(folder / 'a.pth'), device='cpu')


def test_init_and_inference_give_what_the_stock_model_gives(tmp_path):
    model = make_model(tmp_path)
    assert not model.training and len(model.dataset_meta['classes']) == 19
    images = np.random.default_rng(0).integers(0, 256, (2, 80, 120, 3)).astype(np.uint8)
    results = inference_model(model, list(images))  # single images: key frames
    assert [r.is_key_frame for r in results] == [True, True]
    assert model.stream.is_empty
    wrapper, model.segmentor.cfg = model, model.cfg
    expected = inference_model(wrapper.segmentor, images[1])
    assert torch.equal(results[1].seg_logits.data, expected.seg_logits.data)
    assert results[1].pred_sem_seg.data.shape == (1, 80, 120)


def test_results_are_drawn_by_mmseg(tmp_path):
    model = make_model(tmp_path)
    image = np.full((80, 120, 3), 90, np.uint8)
    result = inference_model(model, image)
    drawn = show_result_pyplot(
        model, image, result, opacity=1.0, show=False, draw_gt=False, with_labels=False
    )
    palette = np.array(model.dataset_meta['palette'])
    assert np.array_equal(drawn, palette[result.pred_sem_seg.data[0].numpy()])
