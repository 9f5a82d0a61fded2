"""Checkpoints on disk: written whole or not at all."""

import os
import zipfile
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from dff.files import write_atomically

LAST = 'last_checkpoint'


class AtomicLocalBackend(LocalBackend):
    """File backend for local disks that writes each file atomically.

    `AtomicCheckpointHook` uses it. mmengine's own `local` backend stays as it is.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes."""
        with write_atomically(filepath) as temporary:
            super().put(obj, temporary)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text."""
        with write_atomically(filepath) as temporary:
            super().put_text(obj, temporary, encoding)


register_backend('AtomicLocalBackend', AtomicLocalBackend, force=True)


def is_complete(path: str | os.PathLike) -> bool:
    """Tell whether a checkpoint of torch is there to its last byte."""
    try:
        with zipfile.ZipFile(path) as archive:  # its table of contents is at the end
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError):
        return False


def find_complete_checkpoint(work_dir: str | os.PathLike) -> Path | None:
    """Find the newest checkpoint to resume from, leaving out what was cut off.

    Args:
        work_dir: Of the run; ``last_checkpoint`` in it comes first.
    """
    folder = Path(work_dir)
    found = [p for p in folder.glob('*.pth') if not p.name.startswith(('.', 'best_'))]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    last = folder / LAST
    if last.is_file():
        named = Path(last.read_text(errors='replace').strip() or 'nothing')
        found = [p for p in (named, folder / named.name) if p.is_file()][:1] + found
    return next((path for path in found if is_complete(path)), None)


def remove_leftovers(work_dir: str | os.PathLike) -> None:
    """Remove what a killed run was writing."""
    for path in Path(work_dir).glob('.*.pth'):
        path.unlink(missing_ok=True)
