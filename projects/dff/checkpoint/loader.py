"""Make mmengine load every checkpoint through the safe reader."""

import os
import re
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_rank
from mmengine.fileio import get_file_backend
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as stock

from .archive import read_archive, read_plain_pickle

# torch.hub's convention: name-0123abcd.pth has a SHA-256 that starts with 0123abcd
HASH_IN_NAME = re.compile(r'-([a-f0-9]{8,})\.')


def read_checkpoint(path: str | os.PathLike, map_location: Any = None) -> dict:
    """Read a checkpoint file of torch or mmengine without running anything in it.

    Tensors, numpy arrays and numbers, mmengine's log histories and plain containers
    are restored; everything else becomes an ``Inert`` that holds its name. No
    environment variable changes this.

    Args:
        path: Checkpoint file.
        map_location: As for ``torch.load``.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, cut off, or no checkpoint.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    with path.open('rb') as file:
        return _read_content(file, map_location, name=str(path))


def weights_of(content: dict, path: str | os.PathLike) -> dict[str, Any]:
    """Return the weights of a checkpoint without the prefix of data parallelism.

    Args:
        content: The checkpoint; if it has no `state_dict`, all of it is weights.
        path: File of the checkpoint, for the message.

    Raises:
        ValueError: If a weight has no name.
    """
    state = content.get('state_dict', content)
    if not all(isinstance(name, str) for name in state):
        raise ValueError(f'{path} must hold a state_dict of names, got {state!r:.80}')
    return {name.removeprefix('module.'): value for name, value in state.items()}


def read_pickle(path: str | os.PathLike) -> Any:
    """Read a plain pickle, such as dumped results, without running anything in it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, cut off, or no pickle.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'pickle {path} does not exist')
    try:
        with path.open('rb') as file:
            return read_plain_pickle(file)
    except Exception as error:  # any error of a broken or hostile file
        raise ValueError(
            f'{path} is cut off, damaged or no pickle: {error!r}'
        ) from error


def _read_content(file: BinaryIO, map_location: Any, *, name: str) -> dict:
    try:
        content = read_archive(file, map_location)
    except Exception as error:  # any error of a broken or hostile file
        raise ValueError(
            f'checkpoint {name} is cut off, damaged or not of torch.save: {error!r}'
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f'checkpoint {name} must hold a dict, got {type(content).__name__}: '
            f'{content!r:.80}'
        )
    for key in ('state_dict', 'meta'):
        part = content.get(key, {})
        if not isinstance(part, dict):
            raise ValueError(
                f'{key} of checkpoint {name} must be a dict, got '
                f'{type(part).__name__}: {part!r:.80}'
            )
    state = content.get('state_dict', {})
    if wrong := [k for k in state if not isinstance(k, str)]:
        raise ValueError(
            f'state_dict of checkpoint {name} must hold names, got {wrong[:3]!r:.80}'
        )
    meta = content.get('meta')
    if isinstance(meta, dict):
        # Runner.resume executes this text; mmengine 1.x saves `cfg` instead
        meta.pop('config', None)
    return content


def load_from_local(filename: str, map_location: Any = None) -> dict:
    """Load a local file; for arguments and errors see `read_checkpoint`."""
    return read_checkpoint(filename, map_location)


def load_from_http(filename: str, map_location: Any = None) -> dict:
    """Download to torch's cache on rank 0, and load from there on all ranks."""
    name = os.path.basename(urlparse(filename).path)
    path = Path(torch.hub.get_dir(), 'checkpoints', name)
    if get_rank() == 0 and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = HASH_IN_NAME.search(name)
        torch.hub.download_url_to_file(
            filename, str(path), digest.group(1) if digest else None
        )
    barrier()
    return read_checkpoint(path, map_location)


def load_from_torchvision(filename: str, map_location: Any = None) -> dict:
    """Load weights of torchvision by model name.

    Raises:
        ValueError: If no model has this name.
    """
    urls = stock.get_torchvision_models()
    return load_from_http(_look_up(filename, urls), map_location)


def load_from_openmmlab(filename: str, map_location: Any = None) -> dict:
    """Load weights of OpenMMLab by model name.

    Raises:
        ValueError: If no model has this name.
    """
    renamed = stock.get_deprecated_model_names()
    scheme, _, name = filename.partition('://')
    name = f'{scheme}://{renamed.get(name, name)}'
    target = _look_up(name, stock.get_external_models())
    if target.startswith(('http://', 'https://')):
        return load_from_http(target, map_location)
    return load_from_local(
        os.path.join(stock._get_mmengine_home(), target), map_location
    )


def load_from_mmcls(filename: str, map_location: Any = None) -> dict:
    """Load the backbone of a classifier of OpenMMLab by model name.

    Raises:
        ValueError: If no model has this name.
    """
    url = _look_up(filename, stock.get_mmcls_models())
    return stock._process_mmcls_checkpoint(load_from_http(url, map_location))


def load_from_ceph(filename: str, map_location: Any = None) -> dict:
    """Load from an S3 store through mmengine's petrel backend."""
    backend = get_file_backend(filename, backend_args={'backend': 'petrel'})
    return _read_content(BytesIO(backend.get(filename)), map_location, name=filename)


def load_from_pavi(filename: str, map_location: Any = None) -> dict:
    """Refuse a store whose client loads pickles itself.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        f'loading from pavi is not supported: download {filename} and pass its path'
    )


def _look_up(filename: str, targets: dict[str, str]) -> str:
    name = filename.partition('://')[2]
    if name not in targets:
        raise ValueError(f'checkpoint {filename}: no model is called {name!r}')
    return targets[name]


def register() -> None:
    """Make mmengine load checkpoints with this reader."""
    schemes = {
        '': load_from_local,
        'http://': load_from_http,
        'https://': load_from_http,
        'modelzoo://': load_from_torchvision,
        'torchvision://': load_from_torchvision,
        'open-mmlab://': load_from_openmmlab,
        'openmmlab://': load_from_openmmlab,
        'mmcls://': load_from_mmcls,
        r'(\S+\:)?s3://': load_from_ceph,
        r'(\S+\:)?petrel://': load_from_ceph,
        'pavi://': load_from_pavi,
    }
    for prefix, loader in schemes.items():
        CheckpointLoader.register_scheme(prefix, loader, force=True)
