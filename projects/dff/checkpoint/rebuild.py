"""What a checkpoint may hold: tensors, arrays, logs and plain containers.

The table :data:`BUILDERS` maps each dotted name that a pickle may call to a function
that builds the value. Each builder checks its arguments, and none calls any of them.
"""

import math
import pickle
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

from .inert import Inert

# numbers, strings of fixed size and objects; records and dates become `Inert`
PLAIN_DTYPE = re.compile(r'[?bB]|[biufc]\d{1,2}|[SU]\d+|O8?')
DTYPE_NAMES = (
    'float64 float32 float16 bfloat16 complex128 complex64 uint64 uint32 uint16 '
    'uint8 int64 int32 int16 int8 bool float8_e4m3fn float8_e5m2'
).split()
STORAGE_NAMES = {
    'Double': torch.float64,
    'Float': torch.float32,
    'Half': torch.float16,
    'BFloat16': torch.bfloat16,
    'Long': torch.int64,
    'Int': torch.int32,
    'Short': torch.int16,
    'Char': torch.int8,
    'Byte': torch.uint8,
    'Bool': torch.bool,
    'ComplexDouble': torch.complex128,
    'ComplexFloat': torch.complex64,
}
STORAGE_DTYPES = {f'torch.{k}Storage': v for k, v in STORAGE_NAMES.items()}
STORAGE_DTYPES['torch.storage.UntypedStorage'] = torch.uint8
CONSTANTS = {f'torch.{name}': getattr(torch, name) for name in DTYPE_NAMES}

Builder = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Storage:
    """Bytes that tensors share, and the element type they were saved with."""

    data: torch.UntypedStorage
    dtype: torch.dtype


def rebuild(func: Any, args: Any, builders: Mapping[str, Builder] | None = None) -> Any:
    """Build the value that a pickle asks for by a call.

    Args:
        func: The called name, an ``Inert``.
        args: Its arguments, a tuple.
        builders: Table to look the name up in; by default ``BUILDERS``.

    Returns:
        The value; an ``Inert`` of the same name if the table has no builder for it.

    Raises:
        pickle.UnpicklingError: If `func` is no name, or a builder refuses `args`.
    """
    if not isinstance(func, Inert) or not isinstance(args, tuple):
        raise pickle.UnpicklingError(
            f'expected a call of a name with a tuple, got {type(func).__name__} '
            f'with {type(args).__name__}'
        )
    builder = (builders or BUILDERS).get(func.name)
    return Inert(func.name) if builder is None else builder(*args)


def restore_state(target: Any, state: Any) -> None:
    """Set the pickled state of a built value; ignore types without a plain state.

    Args:
        target: ``OrderedDict``, array, numpy type or ``HistoryBuffer``; others are
            left unchanged.
        state: As the pickle holds it.

    Raises:
        pickle.UnpicklingError: If the state does not fit the type of `target`.
    """
    if type(target) is OrderedDict:
        # torch keeps the versions of modules here
        metadata = state.get('_metadata') if type(state) is dict else None
        if type(metadata) is OrderedDict:
            vars(target)['_metadata'] = metadata
    elif isinstance(target, np.dtype):
        _restore_dtype(target, state)
    elif type(target) is np.ndarray:
        _restore_array(target, state)
    elif type(target) is HistoryBuffer:
        _restore_history(target, state)


def _require(is_sound: bool, what: str) -> None:
    if not is_sound:
        raise pickle.UnpicklingError(f'unsound {what}')


def _tensor(
    storage: Storage, offset: int, size: Any, stride: Any, dtype: Any = None
) -> Tensor:
    _require(isinstance(storage, Storage), 'storage')
    numbers = (offset, *size, *stride)
    _require(all(type(n) is int and n >= 0 for n in numbers), 'tensor layout')
    _require(len(size) == len(stride), 'tensor layout')
    dtype = dtype or storage.dtype
    _require(isinstance(dtype, torch.dtype), 'tensor type')
    steps = ((n - 1) * step for n, step in zip(size, stride, strict=True))
    end = 0 if 0 in size else offset + sum(steps) + 1
    _require(end * dtype.itemsize <= storage.data.nbytes(), 'tensor: past its storage')
    empty = torch.empty(0, dtype=dtype, device=storage.data.device)
    return empty.set_(storage.data, offset if end else 0, tuple(size), tuple(stride))


def _with_gradient(tensor: Tensor, requires_grad: Any, metadata: Any) -> Any:
    if metadata:  # lazily negated or conjugated: the storage holds other values
        return Inert('tensor with metadata')
    is_trainable = tensor.is_floating_point() or tensor.is_complex()
    return tensor.requires_grad_(bool(requires_grad) and is_trainable)


def _tensor_v2(storage, offset, size, stride, grad, hooks, metadata=None) -> Any:
    return _with_gradient(_tensor(storage, offset, size, stride), grad, metadata)


def _tensor_v3(storage, offset, size, stride, grad, hooks, dtype, metadata=None) -> Any:
    tensor = _tensor(storage, offset, size, stride, dtype)
    return _with_gradient(tensor, grad, metadata)


def _parameter(data: Tensor, requires_grad: Any, *rest: Any) -> Any:
    _require(isinstance(data, Tensor), 'parameter')
    return torch.nn.Parameter(data.detach(), bool(requires_grad))


def _from_type(func: Any, cls: Any, args: Any, state: Any) -> Any:
    return rebuild(func, args)  # the tensor without its Python attributes


def _items(cls: type) -> Callable[..., Any]:
    """Build a container from at most one plain container."""

    def build(items: Any = ()) -> Any:
        _require(type(items) in (list, tuple, dict, set, OrderedDict), 'container')
        return cls(items)

    return build


def _bytes(cls: type) -> Callable[..., Any]:
    def build(content: Any = b'', encoding: Any = 'latin1') -> Any:
        if isinstance(content, str):
            content = content.encode('latin1')
        _require(isinstance(content, bytes), 'bytes')
        return cls(content)

    return build


def _size(sizes: Any = ()) -> torch.Size:
    _require(all(type(n) is int for n in sizes), 'size')
    return torch.Size(sizes)


def _device(*names: Any) -> torch.device:
    _require(all(type(n) in (str, int) for n in names), 'device')
    return torch.device(*names)


def _complex(real: Any, imag: Any) -> complex:
    _require(type(real) is float and type(imag) is float, 'complex number')
    return complex(real, imag)


def _default_dict(factory: Any = None, *items: Any) -> dict:
    return _items(dict)(*items)


def _new_object(cls: Any, *args: Any) -> Any:
    return rebuild(cls, args)


def _history(*args: Any) -> HistoryBuffer:
    return HistoryBuffer()


def _restore_history(target: HistoryBuffer, state: Any) -> None:
    """Restore the logs but not the statistics methods, which are functions."""
    _require(type(state) is dict, 'HistoryBuffer')
    logs, counts = state.get('_log_history'), state.get('_count_history')
    length = state.get('max_length')
    _require(type(logs) is np.ndarray and type(counts) is np.ndarray, 'HistoryBuffer')
    _require(logs.shape == counts.shape and type(length) is int, 'HistoryBuffer')
    target._log_history, target._count_history = logs, counts
    target.max_length = length


def _dtype(code: Any, *flags: Any) -> Any:
    if type(code) is str and PLAIN_DTYPE.fullmatch(code):
        return np.dtype(code, copy=True)  # a copy, because its byte order may be set
    return Inert('numpy.dtype')


def _restore_dtype(target: Any, state: Any) -> None:
    """Set the byte order, the only state of a plain type."""
    _require(type(state) is tuple and len(state) >= 8, 'numpy type')
    order = state[1]
    _require(order in ('<', '>', '|', '=') and state[2:5] == (None,) * 3, 'numpy type')
    if order in '<>':
        target.__setstate__((3, order, None, None, None, *_flexible_size(target), 0))


def _flexible_size(dtype: np.dtype) -> tuple[int, int]:
    return (dtype.itemsize, dtype.alignment) if dtype.kind in 'SU' else (-1, -1)


def _array(cls: Any, shape: Any, code: Any) -> Any:
    is_plain = isinstance(cls, Inert) and cls.name == 'numpy.ndarray'
    return np.empty(0) if is_plain else Inert('numpy array')


def _restore_array(target: Any, state: Any) -> None:
    _require(type(state) is tuple and len(state) == 5, 'numpy array')
    _, shape, dtype, is_fortran, content = state
    if isinstance(dtype, Inert):  # records and dates: leave the array empty
        return
    _require(isinstance(dtype, np.dtype), 'numpy array')
    _require(type(shape) is tuple and all(type(n) is int for n in shape), 'numpy array')
    if dtype.hasobject:  # a list of values that were read by these rules
        is_sound = type(content) is list and len(content) == math.prod(shape)
    else:
        content = content.encode('latin1') if type(content) is str else content
        is_sound = type(content) is bytes
    _require(is_sound, 'numpy array')
    target.__setstate__((1, shape, dtype, bool(is_fortran), content))


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> Any:
    if isinstance(dtype, Inert):
        return dtype
    _require(type(content) in (bytes, bytearray) and order in ('C', 'F'), 'numpy array')
    _require(isinstance(dtype, np.dtype) and not dtype.hasobject, 'numpy array')
    return np.frombuffer(bytearray(content), dtype).reshape(shape, order=order)


def _scalar(dtype: Any, content: Any = b'') -> Any:
    if isinstance(dtype, Inert):
        return dtype
    content = content.encode('latin1') if type(content) is str else content
    _require(isinstance(dtype, np.dtype) and not dtype.hasobject, 'numpy number')
    is_sound = type(content) is bytes and len(content) == dtype.itemsize
    _require(is_sound, 'numpy number')
    return np.frombuffer(content, dtype, count=1)[0]


BUILDERS: dict[str, Builder] = {
    'torch._utils._rebuild_tensor': _tensor,
    'torch._utils._rebuild_tensor_v2': _tensor_v2,
    'torch._utils._rebuild_tensor_v3': _tensor_v3,
    'torch._utils._rebuild_parameter': _parameter,
    'torch._utils._rebuild_parameter_with_state': _parameter,
    'torch._tensor._rebuild_from_type_v2': _from_type,
    'torch.Size': _size,
    'torch.device': _device,
    'collections.OrderedDict': _items(OrderedDict),
    'collections.Counter': _items(Counter),
    'collections.defaultdict': _default_dict,
    'mmengine.config.config.ConfigDict': _items(dict),
    'mmengine.logging.history_buffer.HistoryBuffer': _history,
    'builtins.set': _items(set),
    'builtins.frozenset': _items(frozenset),
    'builtins.complex': _complex,
    'builtins.bytearray': _bytes(bytearray),
    'builtins.bytes': _bytes(bytes),
    '_codecs.encode': _bytes(bytes),
    'copyreg.__newobj__': _new_object,
    'numpy.dtype': _dtype,
}
for _module in ('numpy.core', 'numpy._core'):  # numpy 1 and numpy 2
    BUILDERS[f'{_module}.multiarray._reconstruct'] = _array
    BUILDERS[f'{_module}.multiarray.scalar'] = _scalar
    BUILDERS[f'{_module}.numeric._frombuffer'] = _from_buffer
