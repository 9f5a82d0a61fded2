"""The warp against Eq. 1 to 4 written as loops, on every backend."""

import math

import pytest
import torch
from mmengine.registry import MODELS
from torch.testing import assert_close

from dff.ops import FeatureWarp, feature_warp

TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 2e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 2e-2,
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_inputs(shape, dtype=torch.float32, reach=2.5, with_scale=True):
    """Features, a fractional flow (also past the border) and scales."""
    n, _, h, w = shape
    feat = torch.randn(shape).to(dtype)
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    # Never closer than 1 / 64 to an integer: there Eq. 4 has two one-sided values.
    whole = torch.randint(-math.ceil(reach), math.ceil(reach), (n, 2, h, w))
    flow = (whole + torch.randint(1, 64, (n, 2, h, w)) / 64).to(exact)
    scale = torch.randn(shape).to(dtype) if with_scale else None
    return feat, flow, scale


def as_bits(x):
    return x.contiguous().view(
        {2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()]
    )


@pytest.mark.parametrize('with_scale', [True, False])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize(
    'shape',
    [(2, 37, 5, 7), (1, 16, 4, 4), (1, 3, 1, 9), (3, 1, 6, 1), (1, 70, 3, 5)],
)
def test_equals_loops(backend, warp_oracle, shape, dtype, layout, with_scale):
    feat, flow, scale = make_inputs(shape, dtype, with_scale=with_scale)
    grad = torch.randn(shape).to(dtype)
    expected, expected_grads = warp_oracle(feat, flow, scale, grad)
    feat = feat.contiguous(memory_format=layout)
    if with_scale:
        scale = scale.contiguous(memory_format=layout)
    result = backend.warp(feat, flow, scale)
    grads = backend.warp_grads(grad, feat, flow, scale)
    assert result.dtype == dtype and grads[1].dtype == flow.dtype
    assert result.is_contiguous(memory_format=layout)
    compared = zip(
        [result, *grads[: 2 + with_scale]], [expected, *expected_grads], strict=False
    )
    for name, (got, oracle) in zip(
        ['out', 'feat', 'flow', 'scale'], compared, strict=False
    ):
        error = (got.double() - oracle).abs().max() / oracle.abs().max().clamp(min=1)
        assert error <= TOLERANCE[dtype], f'{name}: {error}'


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_zero_flow_is_identity_bit_for_bit(backend, dtype, layout):
    feat, flow, _ = make_inputs((2, 19, 5, 7), dtype)
    special = torch.tensor([math.inf, -math.inf, math.nan, -0.0, 0.0, 1e-8]).to(dtype)
    feat.view(-1)[::5] = special.repeat(feat.numel())[: feat.view(-1)[::5].numel()]
    feat = feat.contiguous(memory_format=layout)
    for zero in (torch.zeros_like(flow), -torch.zeros_like(flow)):
        for scale in (None, torch.ones_like(feat)):
            result = backend.warp(feat, zero, scale)
            is_nan = feat.isnan()
            assert torch.equal(result.isnan(), is_nan)
            assert torch.equal(as_bits(result)[~is_nan], as_bits(feat)[~is_nan])


@pytest.mark.parametrize('dx, dy', [(1, 0), (0, 1), (-2, 3), (3, -1), (-6, 4)])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_whole_flow_shifts(backend, dx, dy, layout):
    feat = torch.randn(2, 21, 5, 7).contiguous(memory_format=layout)
    flow = torch.tensor([dx, dy]).float().view(1, 2, 1, 1).expand(2, 2, 5, 7)
    padded = torch.nn.functional.pad(feat, (8, 8, 8, 8))
    shifted = padded[:, :, 8 + dy : 13 + dy, 8 + dx : 15 + dx]
    assert torch.equal(backend.warp(feat, flow), shifted)


def test_half_outside_is_half(backend):
    feat = torch.ones(1, 17, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0] = -0.25
    flow[:, 1] = 0.5
    expected = torch.ones(3, 4)
    expected[:, 0] *= 0.75
    expected[2] *= 0.5
    assert_close(backend.warp(feat, flow)[0, 0], expected)


BAD_FLOWS = [math.nan, math.inf, -math.inf, 1e30, -1e30, 2.0**31, -(2.0**63), 1e9]


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('bad', BAD_FLOWS)
def test_flow_that_is_not_finite_or_huge_reads_zero(backend, bad, layout):
    feat, flow, scale = make_inputs((1, 18, 4, 5))
    feat = feat.contiguous(memory_format=layout)
    clean = backend.warp(feat, flow, scale)
    grad = torch.randn(feat.shape)
    flow[0, 0, 1, 2] = bad
    flow[0, 1, 3, 4] = bad
    result = backend.warp(feat, flow, scale)
    grads = backend.warp_grads(grad, feat, flow, scale)
    is_bad = torch.zeros(4, 5, dtype=torch.bool)
    is_bad[1, 2] = is_bad[3, 4] = True
    assert (result[..., is_bad] == 0).all()
    assert torch.equal(result[..., ~is_bad], clean[..., ~is_bad])
    assert all(x.isfinite().all() for x in grads)
    assert (grads[1][..., is_bad] == 0).all()
    assert (grads[2][..., is_bad] == 0).all()


def test_unread_taps_stay_out_of_gradients(backend):
    feat = torch.randn(1, 20, 4, 5)
    feat[..., 2] = math.inf  # a column that whole flow never reads
    grad = torch.randn(feat.shape)
    flow = torch.zeros(1, 2, 4, 5)
    flow[:, 0, :, 2] = 1
    flow[:, 1, :3] = 0.5
    d_feat, d_flow, d_scale = backend.warp_grads(
        grad, feat, flow, torch.ones_like(feat)
    )
    assert d_scale.isfinite().all() and d_feat.isfinite().all()
    assert (d_feat[..., 2] == 0).all()
    assert d_flow[:, 1].isfinite().all()


def test_derivative_at_whole_flow_is_the_right_hand_one(backend):
    feat = torch.randn(1, 16, 3, 4)
    grad = torch.ones_like(feat)
    _, d_flow, _ = backend.warp_grads(grad, feat, torch.zeros(1, 2, 3, 4))
    right = torch.nn.functional.pad(feat, (0, 1, 0, 1))
    assert_close(d_flow[0, 0], (right[0, :, :3, 1:] - feat[0]).sum(0))
    assert_close(d_flow[0, 1], (right[0, :, 1:, :4] - feat[0]).sum(0))


@pytest.mark.parametrize('needed', [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)])
def test_only_needed_gradients_are_made(backend, needed):
    feat, flow, scale = make_inputs((2, 18, 4, 5))
    grad = torch.randn(feat.shape)
    everything = backend.warp_grads(grad, feat, flow, scale)
    some = backend.warp_grads(grad, feat, flow, scale, [bool(x) for x in needed])
    for is_needed, got, full in zip(needed, some, everything, strict=True):
        assert torch.equal(got, full) if is_needed else got.numel() == 0


@pytest.mark.parametrize('shape', [(0, 8, 3, 4), (2, 0, 3, 4), (1, 8, 0, 4)])
def test_empty_inputs(backend, shape):
    feat, flow, scale = make_inputs(shape)
    assert backend.warp(feat, flow, scale).shape == shape
    grads = backend.warp_grads(torch.randn(shape), feat, flow, scale)
    assert [x.shape for x in grads] == [feat.shape, flow.shape, feat.shape]
    assert (grads[1] == 0).all()


def test_any_strides(backend):
    feat, flow, scale = make_inputs((2, 20, 6, 7))
    grad = torch.randn(feat.shape)
    expected = backend.warp(feat, flow, scale)
    expected_grads = backend.warp_grads(grad, feat, flow, scale)

    def scattered(x):
        large = torch.full([2 * size for size in x.shape], math.nan, dtype=x.dtype)
        view = large[::2, 1::2, ::2, 1::2]
        view.copy_(x)
        return view

    for change in (scattered, lambda x: x.mT.contiguous().mT):
        args = [change(x) for x in (feat, flow, scale)]
        assert not args[0].is_contiguous()
        assert torch.equal(backend.warp(*args), expected)
        for got, full in zip(
            backend.warp_grads(change(grad), *args), expected_grads, strict=True
        ):
            assert_close(got, full)


def test_scale_in_another_layout_and_expanded_grad(backend):
    feat, flow, scale = make_inputs((2, 20, 6, 7))
    expected = backend.warp(feat, flow, scale)
    other = scale.contiguous(memory_format=torch.channels_last)
    assert torch.equal(backend.warp(feat, flow, other), expected)
    grad = torch.ones(()).expand(feat.shape)
    got = backend.warp_grads(grad, feat, flow, scale)
    full = backend.warp_grads(grad.contiguous(), feat, flow, scale)
    assert_close(got, full)


def test_batch_equals_single_images(backend):
    feat, flow, scale = make_inputs((3, 20, 5, 7))
    batch = backend.warp(feat, flow, scale)
    for n in range(3):
        one = backend.warp(feat[n : n + 1], flow[n : n + 1], scale[n : n + 1])
        assert torch.equal(one[0], batch[n])


def test_module_is_registered_and_has_the_function_inside():
    feat, flow, scale = make_inputs((1, 8, 4, 5))
    module = MODELS.build(dict(type='FeatureWarp'))
    assert isinstance(module, FeatureWarp) and not list(module.parameters())
    assert torch.equal(module(feat, flow, scale), feature_warp(feat, flow, scale))
