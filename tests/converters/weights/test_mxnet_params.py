"""The reader of MXNet's files: every version and type, and anything that is neither."""

import pickle
import random
import struct

import numpy as np
import pytest
import torch
from mxnet_files import BFLOAT16, array_bytes, file_bytes, parity_folder, write_params

from dff.converters.weights.mxnet_params import read_mxnet_params

TYPES = ['float32', 'float64', 'float16', 'uint8', 'int32', 'int8', 'int64', 'bool']
VERSIONS = [0, 1, 2, 3]


def write(path, blocks, names):
    path.write_bytes(b''.join(file_bytes(blocks, names)))
    return path


def small_file(path, version):
    arrays = {'arg:a': np.float32([[1, 2], [3, 4]]), 'aux:b': np.int64([5])}
    return write_params(path, arrays, version)


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('dtype', TYPES)
def test_every_type_of_every_version(tmp_path, version, dtype):
    rng = np.random.default_rng(0)
    arrays = {
        'arg:weight': (rng.normal(size=(2, 3, 1, 2)) * 50).astype(dtype),
        'aux:größe': (rng.normal(size=5) * 50).astype(dtype),  # longer than its letters
    }
    read = read_mxnet_params(write_params(tmp_path / 'x.params', arrays, version))
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        assert (read[name] == array).all()


def test_bfloat16_becomes_float32(tmp_path):
    values = torch.tensor([1.0, -2.5, 3e38, 0.0078125])
    raw = values.bfloat16().view(torch.int16).numpy()
    blocks = [array_bytes(raw.view(np.uint16), 2, flag=BFLOAT16)]
    read = read_mxnet_params(write(tmp_path / 'x.params', blocks, ['a']))['a']
    assert read.dtype == np.float32
    assert (read == values.bfloat16().float().numpy()).all()


def test_a_number_without_dimensions(tmp_path):
    path = tmp_path / 'x.params'
    write_params(path, {'a': np.float32(7.5).reshape(())}, 3)
    assert read_mxnet_params(path)['a'] == 7.5
    write_params(path, {'a': np.float32(7.5).reshape(())}, 2)  # means: nothing
    with pytest.raises(ValueError, match=r'1\.\.32 dimensions in array 0, got 0'):
        read_mxnet_params(path)


def test_the_authors_samples(dff_data):
    folder = parity_folder(dff_data)
    present = read_mxnet_params(folder / 'sample_v2.params')
    legacy = read_mxnet_params(folder / 'sample_legacy.params')
    assert list(present) == list(legacy)
    assert present['arg:conv1_weight'].shape == (64, 3, 7, 7)
    assert 'aux:bn_conv1_moving_mean' in present
    for name, array in present.items():
        assert array.dtype == np.float32
        assert (array == legacy[name]).all() and np.abs(array).max() > 0


@pytest.mark.parametrize('version', VERSIONS)
def test_cut_off_at_every_byte(tmp_path, version):
    whole = small_file(tmp_path / 'x.params', version).read_bytes()
    path = tmp_path / 'cut.params'
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r'cut\.params (is cut off|must)'):
            read_mxnet_params(path)
    path.write_bytes(whole + b'\0')
    with pytest.raises(ValueError, match='1 bytes follow'):
        read_mxnet_params(path)


@pytest.mark.parametrize('version', VERSIONS)
def test_any_change_is_a_value_error_or_other_values(tmp_path, version):
    whole = small_file(tmp_path / 'x.params', version).read_bytes()
    path = tmp_path / 'changed.params'
    generator = random.Random(version)
    for _ in range(600):
        changed = bytearray(whole)
        for _ in range(generator.choice([1, 1, 2, 8])):
            start = generator.randrange(len(changed))
            value = generator.choice([0, 1, 0x7F, 0x80, 0xFF])
            changed[start : start + generator.choice([1, 4, 8])] = bytes([value])
        path.write_bytes(changed)
        try:
            arrays = read_mxnet_params(path)
        except ValueError:
            continue
        assert sum(array.nbytes for array in arrays.values()) <= 2 * len(changed)


@pytest.mark.parametrize('storage, name', [(1, 'row_sparse'), (2, 'csr'), (9, '9')])
def test_sparse_arrays_are_refused(tmp_path, storage, name):
    blocks = [array_bytes(np.ones(3, np.float32), 2, storage=storage)]
    path = write(tmp_path / 'x.params', blocks, ['a'])
    with pytest.raises(ValueError, match=f'dense arrays only, array 0 has .* {name}'):
        read_mxnet_params(path)


def test_files_of_other_programs(tmp_path):
    path = tmp_path / 'x.params'
    with pytest.raises(FileNotFoundError, match=r'x\.params does not exist'):
        read_mxnet_params(path)
    with pytest.raises(FileNotFoundError):
        read_mxnet_params(tmp_path)
    torch.save(dict(a=torch.ones(3)), path)
    foreign = [path.read_bytes(), pickle.dumps(dict(a=1)), b'{"nodes": []}' * 9]
    for content in foreign:
        path.write_bytes(content)
        with pytest.raises(ValueError, match='is no parameter file of MXNet.*0x112'):
            read_mxnet_params(path)


def test_counts_that_no_file_can_hold(tmp_path):
    path = tmp_path / 'x.params'
    path.write_bytes(struct.pack('<QQQ', 0x112, 0, 2**60) + bytes(64))
    with pytest.raises(ValueError, match='arrays cannot be in 64 bytes'):
        read_mxnet_params(path)
    huge = struct.pack('<IiI4q', 0xF993FAC9, 0, 4, 2**31, 2**31, 2**31, 2**31)
    for sides in (huge, huge[:12] + struct.pack('<4q', 0, 2**62, 2**62, 2**62)):
        path.write_bytes(
            b''.join(file_bytes([sides + struct.pack('<iii', 1, 0, 0)], ['a']))
        )
        with pytest.raises(ValueError, match='cut off|damaged header'):
            read_mxnet_params(path)
    negative = struct.pack('<IiI1q', 0xF993FAC9, 0, 1, -4)
    path.write_bytes(
        b''.join(file_bytes([negative + struct.pack('<iii', 1, 0, 0)], ['a']))
    )
    with pytest.raises(ValueError, match=r'no negative side in array 0, got \[-4\]'):
        read_mxnet_params(path)


@pytest.mark.parametrize(
    'names, message',
    [
        ([], 'a name for each of 2 arrays, got 0'),
        (['a'], 'a name for each of 2 arrays, got 1'),
        (['a', 'a'], r"more than one array called \['a'\]"),
        ([b'\xff\xfe', 'a'], 'damaged name 0'),
    ],
)
def test_names(tmp_path, names, message):
    blocks = [array_bytes(np.ones(2, np.float32), 0)] * 2
    with pytest.raises(ValueError, match=message):
        read_mxnet_params(write(tmp_path / 'x.params', blocks, names))
