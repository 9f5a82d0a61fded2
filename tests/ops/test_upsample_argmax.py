"""Labels of enlarged scores, against a loop over pixels and torch's own."""

import math

import pytest
import torch
import torch.nn.functional as F

from dff.ops import upsample_argmax


def enlarge(scores, size, align_corners):
    """Enlarge (K, h, w) in double precision, pixel by pixel."""
    classes, height, width = scores.shape
    out = torch.empty(classes, *size, dtype=torch.double)

    def place(i, cells, pixels):
        if align_corners:
            return i * (cells - 1) / (pixels - 1) if pixels > 1 else 0.0
        return max(0.0, (i + 0.5) * cells / pixels - 0.5)

    for y in range(size[0]):
        v = place(y, height, size[0])
        y0 = min(math.floor(v), height - 1)
        y1, b = min(y0 + 1, height - 1), v - y0
        for x in range(size[1]):
            u = place(x, width, size[1])
            x0 = min(math.floor(u), width - 1)
            x1, a = min(x0 + 1, width - 1), u - x0
            upper = (1 - a) * scores[:, y0, x0] + a * scores[:, y0, x1]
            lower = (1 - a) * scores[:, y1, x0] + a * scores[:, y1, x1]
            out[:, y, x] = (1 - b) * upper + b * lower
    return out


def assert_labels(found, enlarged, *, margin):
    """Labels lead, but for pixels where the two best tie to rounding."""
    expected = enlarged.argmax(dim=-3)
    chosen = enlarged.gather(-3, found.unsqueeze(-3)).squeeze(-3)
    assert (enlarged.amax(dim=-3) - chosen).max() <= margin
    assert (found != expected).double().mean() < 0.01


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(
    'shape, size',
    [
        ((2, 5, 4, 6), (64, 96)),  # whole factors
        ((1, 3, 5, 7), (13, 22)),  # odd ones
        ((1, 4, 9, 11), (5, 6)),  # smaller
        ((3, 2, 1, 1), (3, 4)),  # one cell
        ((1, 1, 3, 3), (6, 6)),  # one class
        ((1, 3, 4, 5), (1, 1)),
    ],
)
def test_against_a_loop(backend, shape, size, align_corners):
    torch.manual_seed(0)
    scores = torch.randn(shape)
    found = backend.run('upsample_argmax', scores, *size, align_corners)
    assert found.dtype == torch.long and found.shape == (shape[0], *size)
    for image, labels in zip(scores.double(), found, strict=True):
        assert_labels(labels, enlarge(image, size, align_corners), margin=1e-5)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(
    'dtype, margin',
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.float16, 1e-5)],
)
def test_against_torch(backend, dtype, margin, align_corners):
    torch.manual_seed(1)
    scores = torch.randn(2, 19, 9, 13).to(dtype)
    found = backend.run('upsample_argmax', scores, 72, 104, align_corners)
    wide = F.interpolate(
        scores.double(), (72, 104), mode='bilinear', align_corners=align_corners
    )
    assert_labels(found, wide, margin=margin)


def test_other_layouts_and_threads(backend):
    torch.manual_seed(2)
    scores = torch.randn(2, 6, 8, 10)
    expected = backend.run('upsample_argmax', scores, 33, 41, False)
    last = scores.to(memory_format=torch.channels_last)
    assert torch.equal(backend.run('upsample_argmax', last, 33, 41, False), expected)
    part = torch.randn(2, 6, 8, 20)[..., ::2].copy_(scores)
    assert torch.equal(backend.run('upsample_argmax', part, 33, 41, False), expected)


def test_ties_and_nan_as_in_torch(backend):
    scores = torch.zeros(1, 4, 2, 2)
    scores[:, 2:] = 1.0  # the first of the leaders
    assert (backend.run('upsample_argmax', scores, 5, 5, False) == 2).all()
    scores[:, 1] = float('nan')
    scores[:, 3] = float('nan')
    wide = F.interpolate(scores, (5, 5), mode='bilinear')
    found = backend.run('upsample_argmax', scores, 5, 5, False)
    assert torch.equal(found, wide.argmax(1)) and (found == 1).all()


def test_empty_batch():
    assert upsample_argmax(torch.empty(0, 3, 2, 2), (4, 5)).shape == (0, 4, 5)


def test_errors():
    with pytest.raises(TypeError, match='scores must be a tensor, got list'):
        upsample_argmax([1.0], (2, 2))
    with pytest.raises(ValueError, match=r'scores must be \(N, K, h, w\).*got \[3, 4'):
        upsample_argmax(torch.rand(3, 4, 5), (2, 2))
    with pytest.raises(ValueError, match='at least one class'):
        upsample_argmax(torch.rand(1, 0, 4, 5), (2, 2))
    with pytest.raises(ValueError, match=r'size must be positive.*\(0, 2\)'):
        upsample_argmax(torch.rand(1, 2, 4, 5), (0, 2))
    with pytest.raises(ValueError, match=r'size must be \(H, W\), got \(3,\)'):
        upsample_argmax(torch.rand(1, 2, 4, 5), (3,))
    with pytest.raises(TypeError, match='float32.*got .*Long'):
        upsample_argmax(torch.ones(1, 2, 4, 5, dtype=torch.long), (3, 4))


def test_registration():
    scores = torch.rand(1, 3, 4, 5)
    torch.library.opcheck(
        torch.ops.dff.upsample_argmax.default, (scores, 8, 10, False)
    )
    learnt = scores.clone().requires_grad_()
    assert not upsample_argmax(learnt, (8, 10)).requires_grad
