"""Caffe models in both formats, and files that are none."""

import foreign_flownets as foreign
import numpy as np
import pytest
import torch

from dff.converters.weights.caffemodel import read_caffemodel


def write(folder, content):
    path = folder / 'net.caffemodel'
    path.write_bytes(content)
    return path


# name 'c', type 'C', one blob of shape (1, 2) with 1.0 and -2.0, byte by byte
BY_HAND = bytes([
    0xA2, 0x06, 24,  # field 100, 24 bytes
    0x0A, 1, ord('c'),  # name
    0x12, 1, ord('C'),  # type
    0x3A, 16,  # blob
    0x3A, 4, 0x0A, 2, 1, 2,  # shape
    0x2A, 8, 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0,  # data
])  # fmt: skip


def test_by_hand(tmp_path):
    (layer,) = read_caffemodel(write(tmp_path, BY_HAND))
    assert (layer.name, layer.kind) == ('c', 'C')
    np.testing.assert_array_equal(layer.blobs[0], [[1, -2]])


@pytest.mark.parametrize('v1', [False, True])
@pytest.mark.parametrize('old_shape', [False, True])
@pytest.mark.parametrize('values', [dict(), dict(packed=False), dict(double=True)])
def test_forms(tmp_path, v1, old_shape, values):
    weight, bias = torch.randn(300, 2, 3, 1), torch.randn(300)
    content = foreign.caffe_layer(
        'conv', [weight, bias], v1=v1, old_shape=old_shape, **values
    )
    (layer,) = read_caffemodel(write(tmp_path, content))
    assert layer.name == 'conv' and layer.kind == ('' if v1 else 'Convolution')
    assert layer.blobs[1].shape == ((1, 1, 1, 300) if old_shape else (300,))
    for got, array in zip(layer.blobs, (weight, bias), strict=True):
        np.testing.assert_allclose(got.ravel(), array.numpy().ravel(), rtol=1e-6)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'holds no layer with arrays'),
        (b'\x89HDF\r\n', 'got HDF5'),
        (BY_HAND[:-1], 'ends after the message'),
        (BY_HAND[:2], 'a number ends after'),
        (b'\xff' * 20, 'number of more than 10 bytes'),
        (b'\x0c', 'unknown wire type 4'),
        (b'{"a": 1}', 'cut off or no Caffe model'),
        (BY_HAND[:-11] + bytes([3]) + BY_HAND[-10:], r'shape \(1, 3\) with 2 values'),
    ],
)
def test_other_files(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_caffemodel(write(tmp_path, content))
    with pytest.raises(FileNotFoundError, match='Caffe model .* does not exist'):
        read_caffemodel(tmp_path / 'none')


def test_damaged_files_are_value_errors(tmp_path):
    rng = np.random.default_rng(0)
    whole = foreign.caffe_layer('conv', [torch.randn(3, 2, 1, 1), torch.randn(3)])
    for _ in range(1000):
        content = bytearray(whole)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            content[place] = rng.integers(256)
        content = bytes(content[: rng.integers(1, len(content) + 1)])
        try:
            read_caffemodel(write(tmp_path, content))
        except ValueError:
            pass
