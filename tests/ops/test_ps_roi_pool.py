"""R-FCN's pooling against loops from its definition, on every backend."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from dff.ops import ps_roi_pool

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 2e-2,
}


def make_rois(images, count=9):
    """RoIs with halves, outside parts, single pixels and reversed corners."""
    torch.manual_seed(1)
    corner = torch.randint(-20, 100, (count, 2)) / 2
    size = torch.randint(0, 160, (count, 2)) / 2
    index = torch.arange(count)[:, None] % images
    rois = torch.cat([index, corner, corner + size], 1)
    rois[-1, 1:] = torch.tensor([500.0, 500.0, 600.0, 600.0])  # off the map
    rois[-2, 1:] = torch.tensor([30.0, 30.0, 10.0, 10.0])  # reversed
    return rois


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    'images, depth, bins, height, width',
    [(2, 3, 7, 6, 9), (1, 5, 1, 4, 3), (3, 2, 3, 11, 5), (1, 33, 2, 5, 7)],
)
def test_equals_loops(
    backend, pool_oracle, images, depth, bins, height, width, layout, dtype
):
    rois = make_rois(images)
    feat = torch.randn(images, depth * bins**2, height, width).to(dtype)
    grad = torch.randn(len(rois), depth, bins, bins).to(dtype)
    expected, expected_grad = pool_oracle(feat, rois, bins, 1 / 8, grad)
    rois = rois.double() if dtype == torch.float64 else rois
    feat = feat.contiguous(memory_format=layout)
    result = backend.pool(feat, rois, bins, 1 / 8)
    d_feat = backend.pool_grad(grad, rois, list(feat.shape), 1 / 8)
    assert result.dtype == d_feat.dtype == dtype
    for got, oracle in ((result, expected), (d_feat, expected_grad)):
        error = (got.double() - oracle).abs().max() / oracle.abs().max().clamp(min=1)
        assert error <= TOLERANCE[dtype]


def test_halves_round_away_from_zero(backend):
    feat = torch.arange(12.0).view(1, 1, 1, 12)
    # [0.5, 2.5] is pixels 1 to 3; [-2.5, 1.5] is -3 to 2, of which 0 to 2 exist.
    rois = torch.tensor([[0, 0.5, 0, 2.5, 0], [0, -2.5, 0, 1.5, 0]])
    result = backend.pool(feat, rois, 1, 1.0)
    assert result.flatten().tolist() == [2.0, 1.0]


def test_channels_are_class_major(backend):
    feat = torch.arange(2 * 9.0).view(1, 18, 1, 1).expand(1, 18, 6, 6)
    result = backend.pool(feat, torch.tensor([[0, 0.0, 0, 5, 5]]), 3, 1.0)
    assert torch.equal(result[0], torch.arange(18.0).view(2, 3, 3))


def test_last_row_and_column_are_read(backend):
    feat = torch.zeros(1, 4, 4, 6)
    feat[:, :, -1, -1] = 12
    rois = torch.tensor([[0, 0.0, 0, 5, 3]])
    assert backend.pool(feat, rois, 2, 1.0).flatten().tolist() == [0, 0, 0, 2]


def test_values_that_are_not_finite_read_nothing_outside(backend):
    feat = torch.ones(1, 4, 4, 6)
    bad = [math.nan, math.inf, -math.inf, 1e30]
    rois = torch.tensor(
        [[0, a, b, c, d] for a in bad for b in bad for c in bad for d in bad]
    )
    assert set(backend.pool(feat, rois, 2, 1.0).flatten().tolist()) <= {0.0, 1.0}
    grad = torch.ones(len(rois), 1, 2, 2)
    assert backend.pool_grad(grad, rois, [1, 4, 4, 6], 1.0).isfinite().all()


@pytest.mark.parametrize('rois, images', [(0, 2), (0, 0)])
def test_no_rois(backend, rois, images):
    feat = torch.randn(images, 8, 4, 6)
    assert backend.pool(feat, torch.zeros(rois, 5), 2, 1.0).shape == (0, 2, 2, 2)
    grad = backend.pool_grad(
        torch.zeros(0, 2, 2, 2), torch.zeros(0, 5), list(feat.shape), 1.0
    )
    assert grad.shape == feat.shape and (grad == 0).all()


def test_roi_of_no_image(backend, host_shim):
    feat = torch.ones(2, 4, 4, 6)
    rois = torch.tensor([[0, 0.0, 0, 5, 3], [2, 0, 0, 5, 3], [-1, 0, 0, 5, 3]])
    if backend.library is torch.ops.dff and backend.device == 'cpu':
        message = r'batch index of rois must be in \[0, 2\), got 2 in row 1'
        with pytest.raises(ValueError, match=message):
            backend.pool(feat, rois, 2, 1.0)
        return
    result = backend.pool(feat, rois, 2, 1.0)
    assert (result[0] == 1).all() and result[1:].isnan().all()


def test_equals_the_authors_own_numbers():
    default = ROOT.parent / 'shared/data'
    folder = Path(os.environ.get('DFF_DATA', default)).parent / 'parity'
    if not folder.is_dir():
        pytest.skip(f"no numbers of the authors' code at {folder}")
    with np.load(folder / 'parity_122x165.npz') as file:
        numbers = {name: torch.from_numpy(file[name]) for name in file.files}
    for kind in ('cls', 'bbox'):
        result = ps_roi_pool(numbers[f'rfcn_{kind}'], numbers['rois'], 7, 1 / 16)
        assert_close(result, numbers[f'ps_{kind}'], rtol=1e-5, atol=1e-4)
