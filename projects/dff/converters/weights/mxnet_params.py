"""Read MXNet's parameter files (``.params``) without MXNet.

A file is a list of arrays, then a list of their names; all numbers are little endian:
uint64 0x112, uint64 0, uint64 count, the arrays, uint64 count, the names (uint64 length
and bytes each). An array starts in one of three formats:

* 2017 and before: uint32 dimensions, uint32 sides;
* V1: uint32 0xF993FAC8, uint32 dimensions, int64 sides;
* V2, V3: uint32 0xF993FAC9 or 0xF993FACA, int32 storage type, uint32 (V3: int32)
  dimensions, int64 sides;

followed by int32 device type, int32 device number, int32 data type and the data.
"""

import math
import os
from collections import Counter
from pathlib import Path

import numpy as np

LIST_MAGIC = 0x112
V1_MAGIC, V2_MAGIC, V3_MAGIC = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
MAX_DIMENSIONS = 32  # NumPy's limit; the largest here is 4
DEVICES = range(1, 7)  # CPU, GPU, pinned and shared memory
STORAGE = {-1: 'undefined', 0: 'dense', 1: 'row_sparse', 2: 'csr'}
BFLOAT16 = 12
DTYPES = {
    0: '<f4',
    1: '<f8',
    2: '<f2',
    3: '|u1',
    4: '<i4',
    5: '|i1',
    6: '<i8',
    7: '|b1',
    8: '<i2',
    9: '<u2',
    10: '<u4',
    11: '<u8',
    BFLOAT16: '<u2',  # the upper halves of float32
}


class _Cursor:
    """Bytes of a file and the current position; it never reads past the end."""

    def __init__(self, data: np.ndarray, name: str) -> None:
        self.data, self.name, self.position = data, name, 0

    @property
    def left(self) -> int:
        return self.data.size - self.position

    def read_bytes(self, size: int, what: str) -> np.ndarray:
        """Return the next `size` bytes."""
        if size > self.left:
            raise self.error(
                f'is cut off: {what} needs {size} bytes, {self.left} are left'
            )
        self.position += size
        return self.data[self.position - size : self.position]

    def number(self, dtype: str, what: str) -> int:
        """Return the next number, of a NumPy type such as '<u4'."""
        return int(self.numbers(dtype, 1, what)[0])

    def numbers(self, dtype: str, count: int, what: str) -> list[int]:
        """Return the next `count` numbers."""
        raw = self.read_bytes(count * np.dtype(dtype).itemsize, what)
        return np.frombuffer(raw.tobytes(), dtype).tolist()

    def error(self, problem: str) -> ValueError:
        """Return an error that names the file and the position."""
        return ValueError(f'{self.name} {problem} (at byte {self.position})')


def read_mxnet_params(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read all arrays of a parameter file.

    Args:
        path: ``.params`` file of MXNet, of any version.

    Returns:
        Arrays of any shape by their names in the file (with ``arg:`` and ``aux:``).
        They are views of the file with the stored type; bfloat16 becomes float32.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is cut off, damaged, of another program, or holds
            sparse or unnamed arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist')
    # an empty file cannot be mapped
    is_empty = path.stat().st_size == 0
    data = np.empty(0, np.uint8) if is_empty else np.memmap(path, np.uint8, 'r')
    cursor = _Cursor(data, str(path))
    magic = cursor.number('<u8', 'the mark of the format')
    if magic != LIST_MAGIC:
        raise cursor.error(
            f'is no parameter file of MXNet: it must start with {LIST_MAGIC:#x}, got '
            f'{magic:#x}'
        )
    cursor.number('<u8', 'the reserved number')
    count = _count(cursor, 'array', smallest=4)
    arrays = [_read_array(cursor, f'array {i}') for i in range(count)]
    names = _read_names(cursor, count)
    if cursor.left:
        raise cursor.error(f'must end after the names, {cursor.left} bytes follow')
    return dict(zip(names, arrays, strict=True))


def _count(cursor: _Cursor, what: str, *, smallest: int) -> int:
    """Read a count; raise an error if the rest of the file cannot hold so many."""
    count = cursor.number('<u8', f'the number of {what}s')
    if count * smallest > cursor.left:
        raise cursor.error(
            f'is cut off or damaged: {count} {what}s cannot be in {cursor.left} bytes'
        )
    return count


def _read_names(cursor: _Cursor, count: int) -> list[str]:
    found = _count(cursor, 'name', smallest=8)
    if found != count:
        raise cursor.error(f'must have a name for each of {count} arrays, got {found}')
    names = []
    for index in range(found):
        what = f'name {index}'
        raw = cursor.read_bytes(cursor.number('<u8', f'the length of {what}'), what)
        try:
            names.append(raw.tobytes().decode())
        except UnicodeDecodeError as error:
            raise cursor.error(f'has a damaged {what}: {error}') from error
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise cursor.error(f'has more than one array called {repeated[:5]}')
    return names


def _read_array(cursor: _Cursor, what: str) -> np.ndarray:
    shape = _read_shape(cursor, what)
    device = cursor.number('<i4', f'the device of {what}')
    cursor.number('<i4', f'the device of {what}')
    flag = cursor.number('<i4', f'the type of {what}')
    if device not in DEVICES or flag not in DTYPES:
        raise cursor.error(
            f'has a damaged header of {what}: device type {device} must be in '
            f'{DEVICES.start}..{DEVICES.stop - 1} and data type {flag} in '
            f'0..{max(DTYPES)}'
        )
    dtype = np.dtype(DTYPES[flag])
    # Python's integers do not overflow, whatever sides a damaged file states
    raw = cursor.read_bytes(math.prod(shape) * dtype.itemsize, f'the data of {what}')
    try:
        array = raw.view(np.ndarray).view(dtype).reshape(shape)
    except ValueError as error:  # an empty array of absurd sides
        raise cursor.error(f'has a damaged header of {what}: {error}') from error
    if flag == BFLOAT16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array


def _read_shape(cursor: _Cursor, what: str) -> list[int]:
    """Read the shape of an array in any version of the format."""
    magic = cursor.number('<u4', f'the header of {what}')
    side = '<i8'
    if magic in (V2_MAGIC, V3_MAGIC):
        storage = cursor.number('<i4', f'the storage type of {what}')
        if storage != 0:
            raise cursor.error(
                f'must hold dense arrays only, {what} has the storage type '
                f'{STORAGE.get(storage, storage)}'
            )
        kind = '<u4' if magic == V2_MAGIC else '<i4'
        dimensions = cursor.number(kind, f'the dimensions of {what}')
    elif magic == V1_MAGIC:
        dimensions = cursor.number('<u4', f'the dimensions of {what}')
    else:
        dimensions, side = magic, '<u4'
    # before V3 an array without dimensions had no content
    smallest = 0 if magic == V3_MAGIC else 1
    if not smallest <= dimensions <= MAX_DIMENSIONS:
        raise cursor.error(
            f'must have {smallest}..{MAX_DIMENSIONS} dimensions in {what}, got '
            f'{dimensions}'
        )
    shape = cursor.numbers(side, dimensions, f'the sides of {what}')
    if min(shape, default=0) < 0:
        raise cursor.error(f'must have no negative side in {what}, got {shape}')
    return shape
