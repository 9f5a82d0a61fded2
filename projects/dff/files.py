"""Write result files so that a killed run leaves none half-written."""

import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name on success.

    The suffix is kept (libraries choose a format by it), missing folders are made,
    and on any error the temporary file is removed and `path` left as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f'.{target.stem}.', suffix=target.suffix
    )
    os.close(handle)
    try:
        yield Path(name)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # mkstemp makes files only the owner can read
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def undone_on_error(*folders: Path) -> Iterator[None]:
    """Remove what the block has added to some folders if it does not end well.

    Files that were there keep the content that the block gave them; links are removed,
    not followed.
    """
    before = _content(folders)
    try:
        yield
    except BaseException:
        for path in sorted(_content(folders) - before, reverse=True):  # inner first
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        raise


def _content(folders: Iterable[Path]) -> set[Path]:
    """List what is in folders, at any depth, and the folders themselves."""
    found = {folder for folder in folders if folder.is_dir()}
    for folder in folders:
        for root, inner, files in os.walk(folder):
            found |= {Path(root, name) for name in (*inner, *files)}
    return found


def write_json(content: Any, path: str | os.PathLike) -> None:
    """Write `content` as JSON, atomically; nan and infinities become null."""
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
