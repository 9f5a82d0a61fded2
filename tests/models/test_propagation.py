"""FeaturePropagation: one input convention, fields, stills, errors."""

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS as DET_MODELS
from mmdet.structures import DetDataSample
from mmengine.hub import get_config
from mmengine.registry import MODELS, init_default_scope
from torch import nn

import dff  # noqa: F401
from dff.models import FeaturePropagation
from dff.models.seam.feats import Feats

HEIGHT, WIDTH = 128, 192


def preprocessor(name):
    init_default_scope('mmdet')
    return DET_MODELS.build(get_config(f'mmdet::{name}').model.data_preprocessor)


STOCK = {
    'r50': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'rtmdet': 'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'yolox': 'yolox/yolox_tiny_8xb8-300e_coco.py',
}


def frames(count=2, size=(HEIGHT, WIDTH)):
    rng = np.random.RandomState(3)
    return [
        torch.from_numpy(rng.randint(0, 256, (3, *size)).astype(np.uint8))
        for _ in range(count)
    ]


def propagation(estimator, pre):
    model = FeaturePropagation(estimator)
    model.bind_preprocessor(pre)
    return model


def run_stock(name, estimator, images):
    pre = preprocessor(STOCK[name])
    samples = [DetDataSample(metainfo=dict(img_shape=i.shape[1:])) for i in images]
    batch = pre(dict(inputs=images, data_samples=samples), False)['inputs']
    cur, key = batch[:1], batch[1:]
    shapes = [images[0].shape[1:]]
    return propagation(estimator, pre).estimate(cur, key, shapes)[0]


class Spy(nn.Module):
    """Flow network that keeps what it was given."""

    strides, flow_stride = (16,), 16

    def forward(self, cur, key):
        self.got = cur.clone(), key.clone()
        n, _, h, w = cur.shape
        return cur.new_zeros(n, 2, -(-h // 16), -(-w // 16)), None


def test_same_frames_give_the_same_flow_under_every_stock_preprocessor():
    torch.manual_seed(0)
    flownet = MODELS.build(dict(type='FlowNetS', width=0.25, scale_channels=None))
    flownet.predict_flow2.weight.data.normal_(std=0.3)
    images = frames()
    with torch.no_grad():
        flows = [run_stock(name, flownet, images) for name in STOCK]
    assert flows[0].abs().max() > 0.1
    for flow in flows[1:]:
        torch.testing.assert_close(flow, flows[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize('name', list(STOCK))
def test_flow_networks_get_rgb_minus_the_means(name):
    bgr = frames(size=(100, 150))
    spy = Spy()
    run_stock(name, spy, bgr)
    mean = np.array([123.15, 115.90, 103.06]).reshape(3, 1, 1)
    for got, image in zip(spy.got, bgr, strict=True):
        wanted = image.numpy()[::-1].astype(np.float64) - mean
        np.testing.assert_allclose(got[0, :, :100, :150].numpy(), wanted, atol=1e-4)
        assert (got[0, :, 100:] == 0).all() and (got[0, :, :, 150:] == 0).all()


@pytest.mark.parametrize('name', list(STOCK))
def test_classical_flow_gets_the_original_uint8(name, monkeypatch):
    flow = MODELS.build(dict(type='ClassicalFlow'))
    seen = []
    original = type(flow)._to_uint8
    monkeypatch.setattr(
        type(flow),
        '_to_uint8',
        lambda self, x: seen.append(original(self, x)) or seen[-1],
    )
    images = frames()
    run_stock(name, flow, images)
    for got, image in zip(seen, images, strict=True):
        wanted = image.numpy()[::-1].transpose(1, 2, 0)
        np.testing.assert_array_equal(got[0], wanted)


@pytest.mark.parametrize(
    'pre, message',
    [
        (nn.Identity(), 'does not say its channel order'),
        (
            DET_MODELS.build(
                dict(type='mmdet.DetDataPreprocessor', mean=[1, 2, 3], std=[1, 0, 1])
            ),
            'cannot be inverted',
        ),
    ],
)
def test_a_normalisation_that_cannot_be_undone_is_refused(pre, message):
    with pytest.raises(ValueError, match=message):
        propagation(Spy(), pre)


def test_use_before_binding_is_an_error():
    images = torch.zeros(1, 3, 32, 32)
    with pytest.raises(ValueError, match='bind_preprocessor'):
        FeaturePropagation(Spy()).estimate(images, images)


class Fields(nn.Module):
    """Flow network that answers given fields."""

    def __init__(self, flow, scale, strides, flow_stride):
        super().__init__()
        self.strides, self.flow_stride = strides, flow_stride
        self.flow = nn.Parameter(flow)
        self.scale = None if scale is None else nn.Parameter(scale)

    def forward(self, cur, key):
        return self.flow, self.scale


def raw(estimator):
    return propagation(
        estimator, DET_MODELS.build(dict(type='mmdet.DetDataPreprocessor'))
    )


def test_levels_and_form_stay():
    model = raw(Fields(torch.zeros(1, 2, 4, 6), None, (16,), 16))
    feat, images = torch.rand(1, 5, 4, 6), torch.rand(1, 3, 64, 96)
    out, flow = model(Feats({0: feat}, form='any'), images, images)
    assert list(out.maps) == [0] and out.form == 'any'
    assert torch.equal(out.maps[0], feat) and not flow.any()


def test_a_mixed_batch_of_stills_and_pairs():
    """Each sample as if alone; stills bit for bit, gradients finite at scale inf."""
    torch.manual_seed(0)
    flow = torch.randn(3, 2, 4, 6)
    scale = torch.rand(3, 5, 4, 6) + 0.5
    flow[1], scale[1] = float('nan'), float('inf')
    model = raw(Fields(flow, scale, (16,), 16))
    feat = torch.rand(3, 5, 4, 6, requires_grad=True)
    images = torch.rand(3, 3, 64, 96)
    out, _ = model(Feats({0: feat}), images, images, is_same=[False, True, False])
    out = out.maps[0]
    assert torch.equal(out[1], feat[1])
    for i in (0, 2):
        alone = raw(Fields(flow[i : i + 1], scale[i : i + 1], (16,), 16))
        wanted, _ = alone(Feats({0: feat[i : i + 1]}), images[:1], images[:1])
        torch.testing.assert_close(out[i : i + 1], wanted.maps[0])
    out.square().sum().backward()
    for tensor in (feat, model.flow_estimator.flow, model.flow_estimator.scale):
        assert torch.isfinite(tensor.grad).all()
    assert (model.flow_estimator.flow.grad[1] == 0).all()
    assert (model.flow_estimator.flow.grad[0] != 0).any()


def test_flow_values_follow_the_strides_of_the_levels():
    """A flow of 64 px to the right is 16, 2 and 0.5 cells at strides 4, 32, 128."""
    strides = (32, 4, 128)
    flow = torch.zeros(1, 2, 16, 32)
    flow[:, 0] = 64 / 8
    model = raw(Fields(flow, None, strides, 8))
    feats = [torch.rand(1, 2, 128 // s or 1, 256 // s) for s in strides]
    images = torch.rand(1, 3, 128, 256)
    out, _ = model(Feats(dict(enumerate(feats))), images, images)
    out = out.maps.values()
    for feat, warped, stride in zip(feats, out, strides, strict=True):
        cells = 64 / stride
        for x in range(feat.shape[-1]):
            q = x + cells
            low, part = int(q), q - int(q)
            wanted = torch.zeros_like(feat[..., 0])
            if low < feat.shape[-1]:
                wanted += (1 - part) * feat[..., low]
            if low + 1 < feat.shape[-1]:
                wanted += part * feat[..., low + 1]
            torch.testing.assert_close(warped[..., x], wanted)


@pytest.mark.parametrize(
    'feats, message',
    [
        (Feats(dict(enumerate([torch.rand(1, 5, 4, 6)] * 2))), 'has 2 feature levels'),
        (Feats({0: torch.rand(1, 5, 4, 6)}, num_levels=2), 'has 2 feature levels'),
        (Feats({0: torch.rand(1, 5, 16, 24)}), 'is not stride 16'),
        (
            Feats({0: torch.rand(1, 7, 4, 6)}),
            'scale_channels of level 0 is 5.*7 channels',
        ),
    ],
)
def test_features_that_do_not_fit_are_errors(feats, message):
    model = raw(Fields(torch.zeros(1, 2, 4, 6), torch.ones(1, 5, 4, 6), (16,), 16))
    images = torch.rand(1, 3, 64, 96)
    with pytest.raises(ValueError, match=message):
        model(feats, images, images)


def test_frames_of_two_sizes_are_an_error():
    model = raw(Fields(torch.zeros(1, 2, 4, 6), None, (16,), 16))
    with pytest.raises(ValueError, match='one size.*64, 96.*64, 80'):
        model.estimate(torch.rand(1, 3, 64, 96), torch.rand(1, 3, 64, 80))
