"""Write checkpoints atomically, and find the newest complete one."""

import os
import zipfile
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from dff.files import write_atomically

LAST_CHECKPOINT = 'last_checkpoint'  # mmengine writes the newest path to this file


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
    """Return whether a checkpoint exists and is neither cut off nor damaged."""
    try:
        with zipfile.ZipFile(path) as archive:  # its table of contents is at the end
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError):
        return False


def find_complete_checkpoint(work_dir: str | os.PathLike) -> Path | None:
    """Return the newest complete checkpoint of a run, or None.

    Args:
        work_dir: Work directory of the run. The checkpoint that its file
            ``last_checkpoint`` names is tried first.
    """
    folder = Path(work_dir)
    paths = [p for p in folder.glob('*.pth') if not p.name.startswith(('.', 'best_'))]
    paths.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    last = folder / LAST_CHECKPOINT
    if last.is_file():
        named = Path(last.read_text(errors='replace').strip() or 'nothing')
        paths = [p for p in (named, folder / named.name) if p.is_file()][:1] + paths
    return next((path for path in paths if is_complete(path)), None)


def remove_leftovers(work_dir: str | os.PathLike) -> None:
    """Remove temporary checkpoint files that a killed run left behind."""
    for path in Path(work_dir).glob('.*.pth'):
        path.unlink(missing_ok=True)
