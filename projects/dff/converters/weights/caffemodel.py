"""Read the arrays of a Caffe model (`.caffemodel`, protobuf) without Caffe.

The reader uses only the fields of weights, by their numbers in `caffe.proto`:
NetParameter.layers = 2 (V1: name 4, blobs 6), .layer = 100 (name 1, type 2, blobs 7);
BlobProto.num, channels, height, width = 1-4 (old shape), .data = 5, .shape = 7
(BlobShape.dim = 1), .double_data = 8.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
HDF5_START = b'\x89HDF'
V1_LAYERS, LAYERS = 2, 100  # fields of NetParameter
# name, type and blobs of a layer; V1's type is a number, which is not used
LAYER_FIELDS = {V1_LAYERS: (4, None, 6), LAYERS: (1, 2, 7)}
OLD_DIMS, DATA, SHAPE, DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8  # fields of BlobProto
MAX_VARINT = 10  # bytes


@dataclass
class CaffeLayer:
    """Layer with arrays; `kind` is '' in files of the V1 format."""

    name: str
    kind: str = ''
    blobs: list[np.ndarray] = field(default_factory=list)


def read_caffemodel(path: str | Path) -> list[CaffeLayer]:
    """Read the layers that hold arrays, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is cut off, damaged or no Caffe model.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'Caffe model {path} does not exist')
    content = memoryview(path.read_bytes())
    if content[: len(HDF5_START)] == HDF5_START:
        raise ValueError(
            f'{path} must be a protobuf Caffe model, got HDF5 (*.caffemodel.h5): '
            'convert its PyTorch form instead'
        )
    try:
        layers = [
            _read_layer(value, *LAYER_FIELDS[number])
            for number, kind, value in _fields(content)
            if number in LAYER_FIELDS and kind == BYTES
        ]
    except ValueError as error:
        raise ValueError(f'{path} is cut off or no Caffe model: {error}') from error
    layers = [layer for layer in layers if layer.blobs]
    if not layers:
        raise ValueError(f'{path} is no Caffe model: it holds no layer with arrays')
    return layers


def _fields(content: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Yield the (number, wire type, value) of each field of a message.

    The value is an int for VARINT, else a memoryview.
    """
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, position = _varint(content, position)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, position = _varint(content, position)
        elif kind in FIXED_SIZES:
            size = FIXED_SIZES[kind]
        else:
            raise ValueError(f'unknown wire type {kind} at byte {position}')
        if position + size > len(content):
            raise ValueError(f'a field of {size} bytes ends after the message')
        yield number, kind, content[position : position + size]
        position += size


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    """Decode a number of seven bits per byte; return it and the position after it."""
    value = 0
    for shift in range(MAX_VARINT):
        if position + shift >= len(content):
            raise ValueError('a number ends after the message')
        byte = content[position + shift]
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, position + shift + 1
    raise ValueError(f'a number of more than {MAX_VARINT} bytes at byte {position}')


def _read_layer(
    content: memoryview, name_field: int, kind_field: int | None, blob_field: int
) -> CaffeLayer:
    layer = CaffeLayer('')
    for number, wire, value in _fields(content):
        if wire != BYTES:
            continue
        if number == name_field:
            layer.name = str(value, 'utf-8', 'replace')
        elif number == kind_field:
            layer.kind = str(value, 'utf-8', 'replace')
        elif number == blob_field:
            layer.blobs.append(_read_blob(value, layer.name))
    return layer


def _read_blob(content: memoryview, layer: str) -> np.ndarray:
    """Read one array, packed or not, with its shape in either format."""
    old_dims: dict[int, int] = {}
    shape: list[int] | None = None
    parts: list[np.ndarray] = []
    for number, wire, value in _fields(content):
        if number in OLD_DIMS and wire == VARINT:
            old_dims[number] = value
        elif number == SHAPE and wire == BYTES:
            shape = _read_dims(value)
        elif number in (DATA, DOUBLE_DATA) and wire != VARINT:
            dtype = np.dtype('<f4' if number == DATA else '<f8')
            if len(value) % dtype.itemsize:
                raise ValueError(f'an array of {len(value)} bytes in layer {layer!r}')
            parts.append(np.frombuffer(value, dtype))
    if shape is None:
        shape = [old_dims[number] for number in sorted(old_dims)]
    data = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if math.prod(shape) != data.size:
        raise ValueError(
            f'layer {layer!r} has an array of shape {tuple(shape)} with {data.size} '
            'values'
        )
    return data.reshape(shape)


def _read_dims(content: memoryview) -> list[int]:
    dims: list[int] = []
    for number, wire, value in _fields(content):
        if number == 1 and wire == VARINT:
            dims.append(value)
        elif number == 1 and wire == BYTES:  # packed
            position = 0
            while position < len(value):
                dim, position = _varint(value, position)
                dims.append(dim)
    return dims
