"""Flow files, right and broken."""

import struct

import numpy as np
import pytest

from dff.datasets.flow.flo import read_flo, write_flo


def test_bytes_are_as_middlebury_says(tmp_path):
    path = tmp_path / 'a.flo'
    values = [1.5, -2.0, 0.25, 3.0, 2e9, 2e9]  # x, y of three pixels in a row
    path.write_bytes(b'PIEH' + struct.pack('<ii6f', 3, 1, *values))
    flow = read_flo(path)
    assert flow.shape == (1, 3, 2) and flow.dtype == np.float32
    assert flow.ravel().tolist() == values
    write_flo(tmp_path / 'b.flo', flow)
    assert (tmp_path / 'b.flo').read_bytes() == path.read_bytes()


def test_round_trip_keeps_every_bit(tmp_path):
    flow = np.random.default_rng(0).normal(0, 9, (5, 7, 2)).astype(np.float32)
    write_flo(tmp_path / 'a.flo', flow[:, ::-1])  # not contiguous
    np.testing.assert_array_equal(read_flo(tmp_path / 'a.flo'), flow[:, ::-1])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'PIEH\0\0', 'must begin with a header of 12 bytes, it has only 6'),
        (b'P6 9 9 255' + bytes(99), r"not a \.flo file: .* got .*b'P6 9'"),
        (b'PIEH' + struct.pack('<ii', 2, -1), 'got width 2, height -1'),
        (
            b'PIEH' + struct.pack('<ii', 3, 2) + bytes(40),
            'must have 60 bytes for 3 x 2 pixels, got 52: it is cut off',
        ),
        (b'PIEH' + struct.pack('<ii', 1, 1) + bytes(9), 'must have 20 .* got 21'),
    ],
)
def test_broken_files_say_what_is_wrong(tmp_path, content, message):
    path = tmp_path / 'broken.flo'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'broken.flo .*{message}'):
        read_flo(path)


def test_what_cannot_be(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.flo does not exist'):
        read_flo(tmp_path / 'none.flo')
    with pytest.raises(ValueError, match=r'must be \(H, W, 2\), got \(2, 3\)'):
        write_flo(tmp_path / 'a.flo', np.zeros((2, 3)))
