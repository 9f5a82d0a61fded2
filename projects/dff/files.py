"""Write files and folders so that a killed run leaves none half-written."""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[Path]:
    """Yield the path of a temporary file, and rename it to `path` on success.

    The temporary file is beside `path` and has its suffix, because libraries choose
    the format by it. Missing folders are created. If the block raises an error, the
    temporary file is removed and `path` stays as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=target.suffix, **_place_beside(target))
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp lets only the owner read
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def write_folder_atomically(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary folder, and rename it to `path` on success.

    The temporary folder is beside `path`. If the block raises an error, the folder is
    removed with its content.

    Raises:
        OSError: If `path` is a file, or a folder that is not empty.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    name = tempfile.mkdtemp(**_place_beside(target))
    try:
        yield Path(name)
        os.chmod(name, 0o777 & ~_umask())  # mkdtemp lets only the owner in
        os.replace(name, target)
    finally:
        shutil.rmtree(name, ignore_errors=True)


def _place_beside(target: Path) -> dict[str, Any]:
    return dict(dir=target.parent, prefix=f'.{target.stem}.partial-')


def _umask() -> int:
    mask = os.umask(0)  # the only way to read it is to set it
    os.umask(mask)
    return mask


@contextmanager
def remove_new_files_on_error(*folders: Path) -> Iterator[None]:
    """Remove the files that the block has added to `folders` if it raises an error.

    Older files keep the content that the block wrote to them. Links are removed, not
    followed.
    """
    before = _list_content(folders)
    try:
        yield
    except BaseException:
        added = _list_content(folders) - before
        for path in sorted(added, reverse=True):  # the content of a folder first
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        raise


def _list_content(folders: Iterable[Path]) -> set[Path]:
    """List folders and everything in them, at any depth."""
    paths = {folder for folder in folders if folder.is_dir()}
    for folder in folders:
        for root, inner, files in os.walk(folder):
            paths |= {Path(root, name) for name in (*inner, *files)}
    return paths


def write_json(content: Any, path: str | os.PathLike) -> None:
    """Write `content` as JSON, atomically. NaN and infinities become null."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(_finite(content), indent=2) + '\n')


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
