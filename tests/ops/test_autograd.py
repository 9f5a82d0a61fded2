"""The operators under autograd, opcheck, torch.compile and autocast."""

import sys

import pytest
import torch
from torch.autograd import gradcheck
from torch.library import opcheck

from dff.ops import feature_warp, ps_roi_pool

DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request):
    if request.param == 'cuda' and not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    torch.manual_seed(0)
    return request.param


def make_warp_inputs(device, dtype=torch.float64, requires_grad=True):
    """Fractional flow that reaches past every border."""
    feat = torch.randn(2, 3, 4, 5, dtype=dtype)
    whole = torch.randint(-3, 3, (2, 2, 4, 5))
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    flow = whole + 0.1 + 0.8 * torch.rand(2, 2, 4, 5)
    args = feat, flow.to(exact), torch.randn(2, 3, 4, 5, dtype=dtype)
    return tuple(x.to(device).requires_grad_(requires_grad) for x in args)


def make_pool_inputs(device, dtype=torch.float64):
    rois = torch.tensor([[0, 1, 2, 30, 20], [1, -9, 5, 12, 70], [0, 4, 4, 4, 4]])
    feat = torch.randn(2, 8, 5, 7, dtype=dtype, device=device)
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    return feat.requires_grad_(), rois.to(device, exact)


def test_gradcheck_of_feature_warp(device):
    # The sums of the backward pass have no fixed order on CUDA.
    tolerance = 1e-12 if device == 'cuda' else 0.0
    feat, flow, scale = make_warp_inputs(device)
    assert gradcheck(feature_warp, (feat, flow, scale), nondet_tol=tolerance)
    assert gradcheck(feature_warp, (feat, flow), nondet_tol=tolerance)
    last = feat.detach().contiguous(memory_format=torch.channels_last)
    assert gradcheck(
        feature_warp, (last.requires_grad_(), flow, scale), nondet_tol=tolerance
    )


def test_gradcheck_of_ps_roi_pool(device):
    feat, rois = make_pool_inputs(device)
    assert gradcheck(
        lambda x: ps_roi_pool(x, rois, 2, 1 / 8),
        feat,
        nondet_tol=1e-12 if device == 'cuda' else 0.0,
    )


@pytest.mark.parametrize('needs', ['feat', 'flow', 'scale'])
def test_one_gradient_at_a_time(device, needs):
    feat, flow, scale = make_warp_inputs(device)
    full = torch.autograd.grad(feature_warp(feat, flow, scale).sin().sum(),
                               (feat, flow, scale))  # fmt: skip
    args = {'feat': feat.detach(), 'flow': flow.detach(), 'scale': scale.detach()}
    args[needs].requires_grad_()
    feature_warp(**args).sin().sum().backward()
    index = list(args).index(needs)
    torch.testing.assert_close(args[needs].grad, full[index])
    assert [x.grad is None for x in args.values()] == [i != index for i in range(3)]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_opcheck(device, dtype):
    feat, flow, scale = make_warp_inputs(device, dtype)
    last = feat.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    for args in ((feat, flow, scale), (feat, flow, None), (last, flow, scale)):
        opcheck(torch.ops.dff.feature_warp, args)
    plain = [x.detach() for x in (feat, feat, flow, scale)]
    for needed in ([True] * 3, [True, False, False], [False, True, False]):
        opcheck(torch.ops.dff.feature_warp_backward, (*plain, needed))
    feat, rois = make_pool_inputs(device, dtype)
    opcheck(torch.ops.dff.ps_roi_pool, (feat, rois, 2, 1 / 8))
    pooled = ps_roi_pool(feat, rois, 2, 1 / 8).detach()
    opcheck(torch.ops.dff.ps_roi_pool_backward, (pooled, rois, list(feat.shape), 1 / 8))


@pytest.mark.parametrize('with_scale', [True, False])
@pytest.mark.parametrize('dynamic', [False, True])
def test_compiles_as_one_graph(device, with_scale, dynamic):
    rois = make_pool_inputs(device, torch.float32)[1]

    def run(feat, flow, scale):
        warped = feature_warp(feat.relu(), flow * 2, scale)
        scores = torch.cat([warped] * 4, 1)[:, :8]
        return warped.sum() + ps_roi_pool(scores, rois, 2, 1 / 8).sin().sum()

    args = list(make_warp_inputs(device, torch.float32))
    args[2] = args[2] if with_scale else None
    inputs = [x for x in args if x is not None]
    compiled = torch.compile(run, fullgraph=True, dynamic=dynamic, backend='aot_eager')
    expected, result = run(*args), compiled(*args)
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(
        torch.autograd.grad(result, inputs), torch.autograd.grad(expected, inputs)
    )


@pytest.mark.slow
@pytest.mark.skipif(
    ' ' in sys.prefix, reason="torch's inductor does not quote paths with a space"
)
def test_compiles_with_the_default_compiler(device):
    args = make_warp_inputs(device, torch.float32)
    compiled = torch.compile(
        lambda *inputs: feature_warp(*inputs).relu(), fullgraph=True
    )
    expected, result = feature_warp(*args).relu(), compiled(*args)
    torch.testing.assert_close(result, expected)
    grad = torch.randn_like(result)
    torch.testing.assert_close(
        torch.autograd.grad(result, args, grad),
        torch.autograd.grad(expected, args, grad),
    )


@pytest.mark.parametrize('half', [torch.bfloat16, torch.float16])
def test_autocast_takes_any_mix(device, half):
    feat, flow, scale = make_warp_inputs(device, torch.float32)
    _, rois = make_pool_inputs(device, torch.float32)
    scores = torch.randn(2, 8, 5, 7, device=device)
    with torch.autocast(device, half):
        for a in (feat, feat.to(half)):
            for b in (flow, flow.to(half)):
                for c in (scale, scale.to(half), None):
                    got = feature_warp(a, b, c)
                    assert got.dtype == a.dtype
                    typed = None if c is None else c.to(a.dtype)
                    with torch.autocast(device, enabled=False):
                        expected = feature_warp(a, b.float(), typed)
                    assert torch.equal(got, expected)
            got.sum().backward()
        assert feat.grad.dtype == flow.grad.dtype == torch.float32
        for a in (scores, scores.to(half)):
            got = ps_roi_pool(a, rois.to(half), 2, 1 / 8)
            assert got.dtype == a.dtype
            assert torch.equal(got, ps_roi_pool(a, rois.to(half).float(), 2, 1 / 8))


def test_second_derivatives_are_refused_by_name(device):
    feat, flow, scale = make_warp_inputs(device)
    value = feature_warp(feat, flow, scale).square().sum()
    (grad,) = torch.autograd.grad(value, feat, create_graph=True)
    with pytest.raises(NotImplementedError, match='feature_warp has no second'):
        grad.sum().backward()
    feat, rois = make_pool_inputs(device)
    value = ps_roi_pool(feat, rois, 2, 1 / 8).square().sum()
    (grad,) = torch.autograd.grad(value, feat, create_graph=True)
    with pytest.raises(NotImplementedError, match='ps_roi_pool has no second'):
        grad.sum().backward()
