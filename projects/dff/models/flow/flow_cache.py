"""Flow fields kept on disk, for estimators that take seconds a pair."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dff.files import write_atomically


class FlowCache:
    """A folder with one `.npy` file for each pair of frames and way to match them.

    Several processes may share it. Files are never removed from it.

    Args:
        folder: made where it is missing.
        settings: what else than the frames decides about the flow.
    """

    def __init__(self, folder: str | os.PathLike, settings: str) -> None:
        self.folder = Path(folder)
        self.settings = settings

    def get(
        self,
        cur: np.ndarray,
        key: np.ndarray,
        shape: tuple[int, ...],
        compute: Callable[[], np.ndarray],
    ) -> np.ndarray:
        """Return the flow between two uint8 frames, from disk if it is there.

        A file that cannot be read, or holds no float32 array of `shape`, is replaced.
        """
        path = self.folder / f'{self._name(cur, key)}.npy'
        flow = _read(path)
        if flow is None or flow.shape != shape or flow.dtype != np.float32:
            flow = compute()
            with write_atomically(path) as temporary:  # for other processes
                np.save(temporary, flow)
        return flow

    def _name(self, cur: np.ndarray, key: np.ndarray) -> str:
        digest = hashlib.sha256(f'{self.settings} {cur.shape} {key.shape}'.encode())
        for frame in (cur, key):
            digest.update(np.ascontiguousarray(frame))
        return digest.hexdigest()


def _read(path: Path) -> np.ndarray | None:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # missing; damaged in its head or body
        return None
