"""What the operators say to wrong arguments, on real, fake and meta tensors."""

import subprocess
import sys
import textwrap

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from dff.ops import feature_warp, ps_roi_pool

FEAT = torch.randn(2, 8, 5, 7)
FLOW = torch.zeros(2, 2, 5, 7)
ROIS = torch.tensor([[0, 0.0, 0, 4, 4]])
WARP, POOL = torch.ops.dff.feature_warp, torch.ops.dff.ps_roi_pool

WRONG = {
    'three dimensions': (
        WARP, (FEAT[0], FLOW, None), ValueError,
        r'feat must be \(N, C, h, w\), got \[8, 5, 7\]',
    ),
    'one flow channel': (
        WARP, (FEAT, FLOW[:, :1], None), ValueError,
        r'flow must be of shape \[2, 2, 5, 7\], got \[2, 1, 5, 7\]',
    ),
    'flow of another size': (
        WARP, (FEAT, FLOW[..., :6], None), ValueError,
        r'flow must be of shape \[2, 2, 5, 7\], got \[2, 2, 5, 6\]',
    ),
    'scale of another depth': (
        WARP, (FEAT, FLOW, FEAT[:, :4]), ValueError,
        r'scale must be of shape \[2, 8, 5, 7\], got \[2, 4, 5, 7\]',
    ),
    'integer features': (
        WARP, (FEAT.long(), FLOW, None), TypeError,
        'feat must be float32, float64, float16 or bfloat16, got Long',
    ),
    'flow in 16 bits': (
        WARP, (FEAT.half(), FLOW.half(), None), TypeError,
        'flow must be float32 for feat of float16, got float16',
    ),
    'flow in 32 of 64 bits': (
        WARP, (FEAT.double(), FLOW, None), TypeError,
        'flow must be float64 for feat of float64, got float32',
    ),
    'scale of another type': (
        WARP, (FEAT, FLOW, FEAT.half()), TypeError,
        'scale must be of the type of feat, float32, got float16',
    ),
    'channels that do not divide': (
        POOL, (FEAT, ROIS, 3, 1.0), ValueError,
        r'channels of feat must be a multiple of output_size \*\* 2 = 9, got 8',
    ),
    'rois without index': (
        POOL, (FEAT, ROIS[:, 1:], 2, 1.0), ValueError,
        r'rois must be \(R, 5\), got \[1, 4\]',
    ),
    'rois in 16 bits': (
        POOL, (FEAT.half(), ROIS.half(), 2, 1.0), TypeError,
        'rois must be float32 for feat of float16, got float16',
    ),
    'no bins': (
        POOL, (FEAT, ROIS, 0, 1.0), ValueError,
        r'output_size must be in \[1, 1024\], got 0',
    ),
    'bins whose square overflows': (
        POOL, (FEAT, ROIS, 2**32, 1.0), ValueError,
        r'output_size must be in \[1, 1024\], got 4294967296',
    ),
    'no extent': (
        POOL, (FEAT, ROIS, 2, 0.0), ValueError,
        'spatial_scale must be above 0, got 0',
    ),
}  # fmt: skip


@pytest.mark.parametrize('kind', ['real', 'fake', 'meta'])
@pytest.mark.parametrize('name', WRONG)
def test_message(name, kind):
    op, args, error, message = WRONG[name]
    mode = FakeTensorMode()

    def change(x):
        if not isinstance(x, torch.Tensor) or kind == 'real':
            return x
        return x.to('meta') if kind == 'meta' else mode.from_tensor(x)

    with pytest.raises(error, match=message):
        op(*(change(x) for x in args))


def test_devices_that_do_not_match():
    message = 'flow must be on the device of feat, cpu, got meta'
    with pytest.raises(ValueError, match=message):
        feature_warp(FEAT, FLOW.to('meta'))
    with FakeTensorMode(), pytest.raises(ValueError, match='cpu, got cuda:0'):
        feature_warp(torch.empty(2, 8, 5, 7), torch.empty(2, 2, 5, 7, device='cuda'))


def test_backward_ops_check_too():
    with pytest.raises(ValueError, match=r'of shape \[2, 8, 5, 7\], got \[2, 7'):
        torch.ops.dff.feature_warp_backward(FEAT[:, :7], FEAT, FLOW, None, [True] * 3)
    with pytest.raises(ValueError, match=r'grad must be \(R, D, P, P\)'):
        torch.ops.dff.ps_roi_pool_backward(
            torch.zeros(1, 3, 2, 2), ROIS, [2, 8, 5, 7], 1.0
        )


def test_arguments_that_are_no_tensors():
    with pytest.raises(TypeError, match='flow must be a tensor, got ndarray'):
        feature_warp(FEAT, FLOW.numpy())
    with pytest.raises(TypeError, match='rois must be a tensor, got list'):
        ps_roi_pool(FEAT, [[0, 1, 1, 2, 2]], 2, 1.0)
    with pytest.raises(TypeError, match=r'output_size must be an int, got \(7, 7\)'):
        ps_roi_pool(FEAT, ROIS, (7, 7), 1.0)


def test_missing_build_says_the_command(tmp_path):
    code = """
        import sys
        sys.modules['dff.ops._C'] = None  # as if it had not been built
        import dff.ops
    """
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert 'ImportError: the operators of dff are not built' in done.stderr
    assert 'python setup.py build_ext --inplace' in done.stderr
