"""Cache flow fields on disk, for estimators that take seconds per pair."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dff.files import write_atomically


class FlowCache:
    """A folder with one `.npy` file per pair of frames and settings.

    Several processes may share the folder. The cache never removes a file.

    Args:
        folder: Folder of the files. It is created if it does not exist.
        settings: Text that names everything but the frames that the flow depends on.
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
        """Return the flow between two frames, read from disk or computed.

        A file that cannot be read, or holds no float32 array of `shape`, is replaced.

        Args:
            cur: Current frame (H, W, C), uint8.
            key: Key frame (H, W, C), uint8.
            shape: Shape of the flow, such as (h, w, 2).
            compute: Function that returns the flow, called if it is not on disk.
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
            digest.update(np.ascontiguousarray(frame).data)
        return digest.hexdigest()


def _read(path: Path) -> np.ndarray | None:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # no such file; damaged header or body
        return None
