import pytest
import torch
from torch.testing import assert_close

from dff.models.flow.field import check_strides, flow_stride, resize_field, resize_flow


def block_mean(field, steps):
    """Mean over steps x steps blocks, cut at the border, by loops."""
    n, c, height, width = field.shape
    size = (-(-height // steps), -(-width // steps))
    out = field.new_zeros(n, c, *size)
    for i in range(size[0]):
        for j in range(size[1]):
            rows = slice(i * steps, min((i + 1) * steps, height))
            cols = slice(j * steps, min((j + 1) * steps, width))
            out[:, :, i, j] = field[:, :, rows, cols].mean(dim=(2, 3))
    return out


@pytest.mark.parametrize('size', [(12, 20), (13, 21)])
def test_going_down_averages_blocks_and_divides_values_by_the_stride_ratio(size):
    flow = torch.randn(2, 2, *size)
    expected = block_mean(flow, 4)
    assert_close(resize_flow(flow, expected.shape[-2:], ratio=1 / 4), expected / 4)
    assert_close(resize_field(flow, expected.shape[-2:], ratio=1 / 4), expected)


def test_values_follow_the_strides_not_the_rounded_sizes():
    flow = torch.full((1, 2, 75, 125), 3.0)
    flow[:, 1] = -7
    half = resize_flow(flow, (38, 63), ratio=8 / 16)  # 600 x 1000: 75 -> 37.5
    assert (half[:, 0] == 1.5).all() and (half[:, 1] == -3.5).all()
    double = resize_flow(flow, (150, 250), ratio=8 / 4)
    assert (double[:, 0] == 6).all() and (double[:, 1] == -14).all()


def test_going_up_is_linear_between_cell_centres():
    x = torch.arange(6.0).expand(5, 6)
    y = torch.arange(5.0)[:, None].expand(5, 6)
    flow = torch.stack([x, 10 * y])[None]
    up = resize_flow(flow, (10, 12), ratio=2)
    # centre of the fine cell j lies at (j + 1/2) / 2 - 1/2 coarse cells
    fine_x = ((torch.arange(12) + 0.5) / 2 - 0.5).clamp(0, 5)
    fine_y = ((torch.arange(10) + 0.5) / 2 - 0.5).clamp(0, 4)
    assert_close(up[0, 0], 2 * fine_x.expand(10, 12))
    assert_close(up[0, 1], 20 * fine_y[:, None].expand(10, 12))


def test_one_cell_more_or_less_does_not_shift_the_grid():
    flow = torch.randn(1, 2, 9, 11)
    same = resize_flow(flow, (9, 11), ratio=1)
    assert same is flow
    assert_close(resize_flow(flow, (8, 11), ratio=1), flow[:, :, :8])
    longer = resize_flow(flow, (9, 12), ratio=1)
    assert_close(longer[..., :11], flow)
    assert_close(longer[..., 11], flow[..., 10])
    assert_close(
        resize_flow(flow, (4, 5), ratio=1 / 2), block_mean(flow, 2)[:, :, :4, :5] / 2
    )


def test_a_map_of_a_network_without_padding_is_stretched():
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    small = resize_field(ramp, (8, 8), ratio=1)
    assert_close(small[0, 0, 0], torch.arange(8) * 2 + 0.5)


def test_gradient_reaches_every_cell():
    flow = torch.randn(1, 2, 7, 9, requires_grad=True)
    resize_flow(flow, (4, 5), ratio=1 / 2).sum().backward()
    assert (flow.grad > 0).all()


def test_empty_batch():
    assert resize_flow(torch.zeros(0, 2, 8, 6), (4, 3), ratio=0.5).shape == (0, 2, 4, 3)


@pytest.mark.parametrize('ratio', [0, -1, 3, 0.75, 1.5])
def test_ratio_must_be_a_power_of_two(ratio):
    with pytest.raises(ValueError, match='power of two, got'):
        resize_flow(torch.zeros(1, 2, 8, 8), (4, 4), ratio=ratio)


def test_flow_must_have_two_channels():
    with pytest.raises(ValueError, match=r'\(N, 2, h, w\), got \(1, 3, 8, 8\)'):
        resize_flow(torch.zeros(1, 3, 8, 8), (8, 8), ratio=1)


def test_size_must_be_positive():
    with pytest.raises(ValueError, match=r'positive \(h, w\), got \(0, 8\)'):
        resize_field(torch.zeros(1, 3, 8, 8), (0, 8), ratio=1)


def test_strides_in_any_order_and_the_stride_of_the_flow():
    assert check_strides([32, 4, 128]) == (32, 4, 128)
    assert flow_stride((32, 4, 128)) == 8
    assert flow_stride((64, 32)) == 32


@pytest.mark.parametrize(
    ('strides', 'error', 'match'),
    [
        ((), ValueError, 'at least one'),
        ((2,), ValueError, r'powers of two in 4\.\.128, got 2'),
        ((16, 256), ValueError, 'got 256'),
        ((12,), ValueError, 'got 12'),
        (16, TypeError, 'sequence of int, got 16'),
        ((16.0,), TypeError, 'sequence of int'),
    ],
)
def test_bad_strides(strides, error, match):
    with pytest.raises(error, match=match):
        check_strides(strides)
