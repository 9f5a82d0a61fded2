"""Halving a map against a loop over its cells, and against torch."""

import pytest
import torch
import torch.nn.functional as F

from dff.models.flow.layers import halve

SIZES = [(4, 6), (5, 6), (4, 7), (5, 7), (1, 1), (1, 4), (3, 1)]
TYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@pytest.mark.parametrize('size', SIZES)
def test_a_cell_is_the_mean_of_those_that_exist(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    height, width = ((side + 1) // 2 for side in size)
    result = halve(x)
    assert result.shape == (2, 3, height, width)
    for row in range(height):
        for column in range(width):
            block = x[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            wanted = block.flatten(2).sum(-1) / block.shape[2:].numel()
            torch.testing.assert_close(result[:, :, row, column], wanted)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_avg_pool2d(size, dtype, layout):
    x = (255 * torch.randn(2, 5, *size)).to(dtype).contiguous(memory_format=layout)
    before = x.clone()
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    half, wanted = halve(ours), F.avg_pool2d(theirs, 2, ceil_mode=True)
    assert torch.equal(half, wanted) and half.dtype == dtype
    grad = torch.randn_like(half)
    half.backward(grad)
    wanted.backward(grad)
    assert torch.equal(ours.grad, theirs.grad)
    assert torch.equal(ours.detach(), before)  # nothing is written into the input
