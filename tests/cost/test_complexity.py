"""Multiply-adds against closed forms, and Eq. (5)-(7) by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import BaseDataElement
from torch import nn

from dff.cost.complexity import (
    Complexity,
    cost_ratio,
    count_macs,
    measure_complexity,
    part_parameters,
    predicted_speedup,
    warp_macs,
)
from dff.models.seam.feats import Feats


def macs_of(module, *shape):
    return count_macs(lambda: module(torch.rand(shape)))[0]


@pytest.mark.parametrize('groups', [1, 2])
def test_convolution_counts_outputs(groups):
    conv = nn.Conv2d(4, 6, (3, 5), stride=2, padding=1, groups=groups)
    out = conv(torch.rand(2, 4, 9, 15))
    expected = out.numel() * 3 * 5 * 4 // groups
    assert macs_of(conv, 2, 4, 9, 15) == expected


@pytest.mark.parametrize('padding', [0, 1])
def test_deconvolution_counts_inputs(padding):
    deconv = nn.ConvTranspose2d(6, 5, 4, stride=2, padding=padding)
    assert macs_of(deconv, 2, 6, 7, 9) == 2 * 7 * 9 * 16 * 6 * 5


def test_linear_and_what_is_free():
    model = nn.Sequential(
        nn.Linear(8, 5), nn.ReLU(), nn.LayerNorm(5), nn.AvgPool1d(5), nn.Flatten()
    )
    assert macs_of(model, 3, 7, 8) == 3 * 7 * 8 * 5


def test_attention_counts_its_products():
    """Fused attention kernels are unknown to the counter and must not hide any."""
    cells, width, heads = 7, 8, 2
    attention = nn.MultiheadAttention(width, heads, batch_first=True).eval()
    x = torch.rand(3, cells, width)
    layers, products = 4 * cells * width**2, 2 * cells**2 * width
    was_fast = torch.backends.mha.get_fastpath_enabled()
    for weights in (True, False):
        found, _ = count_macs(lambda w=weights: attention(x, x, x, need_weights=w))
        assert found == 3 * (layers + products)
    q = torch.rand(3, heads, cells, width)
    found, _ = count_macs(lambda: nn.functional.scaled_dot_product_attention(q, q, q))
    assert found == 3 * heads * products
    assert torch.backends.mha.get_fastpath_enabled() == was_fast
    encoder = nn.TransformerEncoderLayer(width, heads, 16, batch_first=True).eval()
    assert macs_of(encoder, 3, cells, width) == 3 * (
        layers + products + 2 * cells * width * 16
    )


def test_repeated_use_counts_each_time():
    conv = nn.Conv2d(3, 3, 1)
    macs, result = count_macs(lambda: conv(conv(torch.ones(1, 3, 4, 4))))
    assert macs == 2 * 16 * 9 and result.shape == (1, 3, 4, 4)


def test_eq_5_and_6():
    # Sec. 4 with the figures of R-101 + FlowNet at 600 x 1000 in Gmac
    assert cost_ratio(164.01, 12.90) == pytest.approx(1 / 12.71, rel=1e-3)
    assert cost_ratio(10.0, 2.0, n_task=3.0, warp=1.0) == (2 + 1 + 3) / 13
    with pytest.raises(ValueError, match='costs must be >= 0'):
        cost_ratio(0.0, 1.0)
    with pytest.raises(ValueError, match='costs must be >= 0'):
        cost_ratio(1.0, -1.0)


def test_eq_7():
    ratio = cost_ratio(164.01, 12.90)
    assert predicted_speedup(ratio, 10) == pytest.approx(5.85, abs=0.01)
    assert predicted_speedup(0.5, 1) == 1.0
    assert predicted_speedup(1.0, 7) == 1.0
    assert predicted_speedup(0.0, 7) == 7.0
    # the mean cost of l frames, one of them a key frame
    costs = [1.0] + [0.2] * 4
    assert predicted_speedup(0.2, 5) == pytest.approx(5 / math.fsum(costs))
    with pytest.raises(ValueError, match='interval must be >= 1'):
        predicted_speedup(0.1, 0)


def test_warp_counts_taps_and_scale():
    feats = Feats({0: torch.ones(1, 4, 5, 6), 2: torch.ones(1, 2, 3, 3)})
    fields = {0: (None, torch.ones(1, 4, 5, 6)), 2: (None, None)}
    assert warp_macs(fields, feats) == 5 * 120 + 4 * 18


class SplitModel(nn.Module):
    """Image model of three convolutions, cut after the first."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False)
        self.heads = nn.ModuleList([nn.Conv2d(8, 5, 1), nn.Conv2d(8, 7, 1)])
        self.image_model = nn.ModuleList([self.backbone, self.heads])
        self.flow = nn.Conv2d(6, 2, 3, stride=4, padding=1)
        self.scale = nn.Conv2d(6, 8, 1, stride=4)
        self.seam = SimpleNamespace(
            head=lambda view, **_: Feats({0: self.backbone(view)}),
            windows=self.windows,
            run=self.run,
        )
        self.propagation = SimpleNamespace(
            estimate=self.estimate,
            fields=lambda flow, scale, feats: {0: (flow, scale[0])},
            parameters=lambda: [*self.flow.parameters(), *self.scale.parameters()],
        )
        self.columns = 1

    def windows(self, image):
        height, width = image.shape[-2:]
        width //= self.columns
        return [(0, i * width, height, (i + 1) * width) for i in range(self.columns)]

    def run(self, method, image, feats, samples, *, is_propagated=False):
        assert method == 'predict' and len(samples) == len(image)
        assert len(feats) == self.columns
        return [head(part.maps[0]) for part in feats for head in self.heads]

    def estimate(self, cur, key, img_shapes, levels):
        pair = torch.cat([cur, key], 1)
        return self.flow(pair), {0: self.scale(pair)}


def test_parts_of_a_model():
    model = SplitModel().eval()
    sample = BaseDataElement(metainfo=dict(img_shape=(16, 24)))
    found = measure_complexity(model, torch.rand(1, 3, 16, 24), sample)
    cells = 4 * 6
    expected = Complexity(
        n_feat=cells * 27 * 8,
        flow=cells * (54 * 2 + 6 * 8),
        warp=cells * 8 * 5,
        n_task=cells * 8 * 12,
    )
    assert found == expected
    assert found.frame == cells * (27 * 8 + 96)
    assert found.ratio() == (54 * 2 + 48 + 96) / (27 * 8 + 96)
    assert found.ratio(with_task=False) == (54 * 2 + 48) / (27 * 8)


def test_windows_are_counted_one_by_one():
    model = SplitModel().eval()
    sample = BaseDataElement(metainfo=dict(img_shape=(16, 24)))
    whole = measure_complexity(model, torch.rand(1, 3, 16, 24), sample)
    model.columns = 3
    assert measure_complexity(model, torch.rand(1, 3, 16, 24), sample) == whole


def test_views_of_parameters_may_enter_modules():
    """Deformable DETR feeds parts of its queries' weights to a layer."""
    model = SplitModel().eval()
    model.queries = nn.Parameter(torch.rand(3, 16))
    model.layer = nn.Linear(8, 4)
    run = model.run

    def with_queries(*args, **options):
        model.layer(torch.split(model.queries, 8, dim=1)[0].unsqueeze(0))
        return run(*args)

    model.seam.run = with_queries
    sample = BaseDataElement(metainfo=dict(img_shape=(16, 24)))
    found = measure_complexity(model, torch.rand(1, 3, 16, 24), sample)
    assert found.n_task == 4 * 6 * 8 * 12 + 3 * 8 * 4
    assert all(p.requires_grad for p in model.parameters())


def test_uncounted_operators_are_named():
    class DeformConv(nn.Module):
        pass

    class DeformableDecoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([DeformConv()])

    model = SplitModel().eval()
    model.decoder = DeformableDecoder()
    sample = BaseDataElement(metainfo=dict(img_shape=(16, 24)))
    with pytest.warns(UserWarning, match=r"operators of \['DeformConv'\] are not"):
        measure_complexity(model, torch.rand(1, 3, 16, 24), sample)


def test_parameters_follow_the_seam():
    model = SplitModel().eval()
    image = torch.rand(1, 3, 16, 24)
    parts = part_parameters(model, image)
    heads = (8 + 1) * 12
    assert parts == dict(n_feat=27 * 8, flow=54 * 2 + 2 + 6 * 8 + 8, n_task=heads)
    model.seam.head = lambda view: Feats({0: model.heads[0](model.backbone(view))})
    parts = part_parameters(model, image)
    assert parts['n_feat'] == 27 * 8 + 9 * 5 and parts['n_task'] == 9 * 7
    assert not any(m._forward_pre_hooks for m in model.modules())
