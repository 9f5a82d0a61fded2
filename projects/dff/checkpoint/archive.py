"""Read files of ``torch.save`` and plain pickles without running anything in them."""

import io
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import torch

from .inert import Inert
from .rebuild import BUILDERS, STORAGE_DTYPES, Storage
from .unpickler import InertUnpickler

ZIP_START = b'PK\x03\x04'
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
LEGACY_PROTOCOL = 1001  # torch.serialization.PROTOCOL_VERSION

Restore = Callable[[torch.UntypedStorage, str], torch.UntypedStorage]


def read_archive(file: BinaryIO, map_location: Any = None) -> Any:
    """Read what ``torch.save`` wrote, in the zip format or the one before torch 1.6.

    Args:
        file: Open for reading at its start, seekable.
        map_location: As for ``torch.load``.

    Returns:
        The content; an ``Inert`` in place of each value that is no tensor, array, log
        or plain value.

    Raises:
        Exception: Of any type, if the file is damaged or of another kind.
    """
    start = file.read(len(ZIP_START))
    file.seek(0)
    read = _read_zip if start == ZIP_START else _read_legacy
    return read(file, _restorer(map_location))


def read_plain_pickle(file: BinaryIO) -> Any:
    """Read a pickle that is no file of ``torch.save``.

    Args:
        file: Open for reading at the start of the pickle.

    Returns:
        As for `read_archive`; storages are on the CPU.

    Raises:
        Exception: Of any type, if the file is damaged or of another kind.
    """
    return _unpickler(file).load()


def _unpickler(
    file: BinaryIO, storage: Callable[[Any], Any] | None = None
) -> InertUnpickler:
    return InertUnpickler(file, storage, builders=ARCHIVE_BUILDERS)


def _nested_archive(content: Any) -> Any:
    """Read the file of ``torch.save`` that a plain pickle holds for each storage."""
    if type(content) is not bytes:
        raise pickle.UnpicklingError(
            f'a storage must be bytes, got {type(content).__name__}'
        )
    return read_archive(io.BytesIO(content), 'cpu')


ARCHIVE_BUILDERS = {**BUILDERS, 'torch.storage._load_from_bytes': _nested_archive}


def _restorer(map_location: Any) -> Restore:
    """Return the function that moves a storage to the device of `map_location`."""
    default = torch.serialization.default_restore_location
    if map_location is None:
        return default
    if isinstance(map_location, dict):
        return lambda data, place: default(data, map_location.get(place, place))
    if isinstance(map_location, str | torch.device):
        return lambda data, place: default(data, str(map_location))

    def restore(data: torch.UntypedStorage, place: str) -> torch.UntypedStorage:
        placed = map_location(data, place)
        return default(data, place) if placed is None else placed

    return restore


def _parse_id(pid: Any) -> tuple[torch.dtype, str, str, int] | None:
    """Return (dtype, key, location, elements) of a storage id; None for a module's."""
    if type(pid) is not tuple or len(pid) < 5 or pid[0] != 'storage':
        if type(pid) is tuple and pid[:1] == ('module',):
            return None
        raise pickle.UnpicklingError(
            f'expected the id of a storage, got a {type(pid).__name__}'
        )
    _, kind, key, place, numel = pid[:5]
    if not (type(key) is str and type(place) is str and type(numel) is int):
        raise pickle.UnpicklingError(
            'a storage id must hold (str, str, int), got '
            f'{[type(part).__name__ for part in (key, place, numel)]}'
        )
    name = kind.name if type(kind) is Inert else type(kind).__name__
    name = name.replace('torch.cuda.', 'torch.')
    if name not in STORAGE_DTYPES or numel < 0 or any(pid[5:]):
        raise pickle.UnpicklingError(f'unknown kind of storage: {name:.80}')
    return STORAGE_DTYPES[name], key, place, numel


def _read_into_storage(file: Any, size: int) -> torch.UntypedStorage:
    data = torch.empty(size, dtype=torch.uint8)
    if size and file.readinto(data.numpy().data) != size:
        raise EOFError(f'the file ends within a storage of {size} bytes')
    return data.untyped_storage()


def _read_zip(file: BinaryIO, restore: Restore) -> Any:
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in entries if name.endswith('/data.pkl')]
        if len(pickles) != 1:
            raise ValueError(f'expected one data.pkl in the zip, got {len(pickles)}')
        root = pickles[0].removesuffix('/data.pkl')
        if f'{root}/constants.pkl' in entries:
            raise ValueError('expected weights, got a TorchScript archive (a program)')
        order = f'{root}/byteorder'
        if order in entries and archive.read(order).decode() != sys.byteorder:
            raise ValueError(f'saved on a machine that is not {sys.byteorder}-endian')
        storages: dict[str, torch.UntypedStorage] = {}

        def storage(pid: Any) -> Storage | Inert:
            parsed = _parse_id(pid)
            if parsed is None:
                return Inert('module')
            dtype, key, place, numel = parsed
            if key not in storages:
                entry = entries[f'{root}/data/{key}']
                if entry.file_size != numel * dtype.itemsize:
                    raise ValueError(
                        f'storage {key} must have {numel * dtype.itemsize} bytes, '
                        f'got {entry.file_size}'
                    )
                with archive.open(entry) as content:
                    data = _read_into_storage(content, entry.file_size)
                storages[key] = restore(data, place)
            return Storage(storages[key], dtype)

        content = io.BytesIO(archive.read(f'{root}/data.pkl'))
        return _unpickler(content, storage).load()


def _read_legacy(file: BinaryIO, restore: Restore) -> Any:
    """Read the format before torch 1.6: pickles, then the content of the storages.

    The storages come after the pickle that refers to them, so the pickle is read
    twice: first to collect the storages' types and sizes, then with their content.
    """
    if _unpickler(file).load() != LEGACY_MAGIC:
        raise ValueError('the file does not start as a file of torch.save')
    if _unpickler(file).load() != LEGACY_PROTOCOL:
        raise ValueError(f'the protocol version must be {LEGACY_PROTOCOL}')
    if _unpickler(file).load().get('little_endian') != (sys.byteorder == 'little'):
        raise ValueError(f'saved on a machine that is not {sys.byteorder}-endian')
    start = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(start)
    known: dict[str, tuple] = {}

    def collect(pid: Any) -> Storage | Inert:
        parsed = _parse_id(pid)
        if parsed is None:
            return Inert('module')
        dtype, key, place, numel = parsed
        if numel * dtype.itemsize > size:
            raise ValueError(f'storage {key} is larger than the file')
        known[key] = (dtype, place, numel)
        empty = torch.UntypedStorage(numel * dtype.itemsize, device='meta')
        return Storage(empty, dtype)

    _unpickler(file, collect).load()
    keys = _unpickler(file).load()
    storages = {}
    for key in keys:
        dtype, place, numel = known[key]
        (stored,) = struct.unpack('<q', file.read(8))
        if stored != numel:
            raise ValueError(f'storage {key} must have {numel} elements, got {stored}')
        data = _read_into_storage(file, numel * dtype.itemsize)
        storages[key] = restore(data, place)

    def storage(pid: Any) -> Storage | Inert:
        parsed = _parse_id(pid)
        if parsed is None:
            return Inert('module')
        return Storage(storages[parsed[1]], parsed[0])

    file.seek(start)
    return _unpickler(file, storage).load()
