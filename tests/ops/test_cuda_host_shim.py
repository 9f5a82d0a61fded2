"""Launches of the CUDA kernels, seen through the host shim."""

import pytest
import torch

from dff.ops import feature_warp, ps_roi_pool


@pytest.fixture
def small_grid(host_shim):
    """Return a function that allows a launch so many blocks only."""
    yield host_shim.set_most_blocks
    host_shim.set_most_blocks(2**31 - 1)


def test_kernels_stride_over_more_work_than_the_grid_has_threads(host_shim, small_grid):
    torch.manual_seed(0)
    feat, scale, grad = torch.randn(3, 2, 70, 19, 23)
    flow = 3 * torch.randn(2, 2, 19, 23)
    rois = torch.tensor([[0, 1.0, 2, 20, 15], [1, 3, 3, 9, 9]]).repeat(9, 1)
    scores, pooled = torch.randn(2, 72, 19, 23), torch.randn(18, 8, 3, 3)
    needed = [True] * 3
    calls = [
        lambda lib: (lib.feature_warp(feat, flow, scale),),
        lambda lib: lib.feature_warp_backward(grad, feat, flow, scale, needed),
        lambda lib: (lib.ps_roi_pool(scores, rois, 3, 1.0),),
        lambda lib: (lib.ps_roi_pool_backward(pooled, rois, list(scores.shape), 1.0),),
    ]
    for call in calls:
        small_grid(2**31 - 1)
        full = call(host_shim)
        assert host_shim.last_launch()[0] == host_shim.last_launch()[1]
        for blocks in (1, 3):
            small_grid(blocks)
            got = call(host_shim)
            asked, run = host_shim.last_launch()
            assert asked > run == blocks
            torch.testing.assert_close(got, full)
        torch.testing.assert_close(full, call(torch.ops.dff), rtol=1e-4, atol=1e-4)


def test_shim_is_not_the_cpu_kernel(host_shim):
    feat, flow = torch.randn(1, 16, 4, 4), torch.zeros(1, 2, 4, 4)
    host_shim.feature_warp(feat, flow, None)
    before = host_shim.last_launch()
    feature_warp(feat, flow)
    ps_roi_pool(feat, torch.zeros(1, 5), 2, 1.0)
    assert host_shim.last_launch() == before and before[0] == 1
