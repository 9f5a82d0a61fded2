"""What the tests of the authors' weights share: a writer of MXNet's files, the rule."""

import struct
import sys
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest

MAGIC = {1: 0xF993FAC8, 2: 0xF993FAC9, 3: 0xF993FACA}
FLAGS = {
    'float32': 0,
    'float64': 1,
    'float16': 2,
    'uint8': 3,
    'int32': 4,
    'int8': 5,
    'int64': 6,
    'bool': 7,
}
BFLOAT16 = 12


def array_bytes(array, version, *, flag=None, storage=0):
    """An array as MXNet writes it; version 0 is that of 2017."""
    dims, flag = array.ndim, FLAGS[array.dtype.name] if flag is None else flag
    if version == 0:
        head = struct.pack(f'<I{dims}I', dims, *array.shape)
    elif version == 1:
        head = struct.pack(f'<II{dims}q', MAGIC[1], dims, *array.shape)
    else:
        head = struct.pack(
            f'<Ii{"I" if version == 2 else "i"}{dims}q',
            MAGIC[version],
            storage,
            dims,
            *array.shape,
        )
    return head + struct.pack('<iii', 1, 0, flag) + array.tobytes()


def file_bytes(blocks, names):
    """A whole file from arrays that are bytes by now, piece by piece."""
    yield struct.pack('<QQQ', 0x112, 0, len(blocks))
    yield from blocks
    yield struct.pack('<Q', len(names))
    for name in names:
        name = name if isinstance(name, bytes) else name.encode()
        yield struct.pack('<Q', len(name)) + name


def write_params(path, arrays, version=2):
    blocks = [array_bytes(array, version) for array in arrays.values()]
    with open(path, 'wb') as file:
        file.writelines(file_bytes(blocks, list(arrays)))
    return path


def parity_folder(data):
    """The authors' numbers, beside the real data."""
    folder = data.parent / 'parity'
    if not (folder / 'authors_weights.py').is_file():
        pytest.skip(f"no numbers of the authors' network at {folder}")
    return folder


def authors_arrays(folder, seed=''):
    """Make the authors' weights by the rule; a seed gives others of the same kind."""
    spec = spec_from_file_location('authors_weights', folder / 'authors_weights.py')
    rule = module_from_spec(spec)
    no_cache, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(rule)
    finally:
        sys.dont_write_bytecode = no_cache
    if seed:
        plain = rule.np.random.RandomState
        crc = rule.zlib.crc32(seed.encode())

        class Numbers:
            random = None
            prod = staticmethod(np.prod)
            float32 = np.float32

        numbers = Numbers()
        numbers.random = type('R', (), dict(RandomState=lambda s: plain(s ^ crc)))
        rule.np = numbers
    return {f'{kind}:{name}': array for kind, name, array in rule.weights()}
