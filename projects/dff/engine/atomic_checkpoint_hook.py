"""Save checkpoints so that a complete one always exists."""

import hashlib
import pickle
from typing import Any

from mmengine.dist import is_main_process, master_only
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import CheckpointLoader, Runner, save_checkpoint

from .checkpoint_files import find_complete_checkpoint, remove_leftovers


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """Write checkpoints atomically, and remove old ones only after that.

    With mmengine's hook, a run that is killed while it saves leaves a checkpoint that
    cannot be read, and with ``max_keep_ckpts=1`` it has already removed the previous
    one.

    Args:
        backend_args: As for mmengine's ``CheckpointHook``; None writes to a local disk.
        kwargs: As for mmengine's ``CheckpointHook``.
    """

    file_backend: Any

    def __init__(self, *, backend_args: dict | None = None, **kwargs: Any) -> None:
        if backend_args is None:
            backend_args = dict(backend='AtomicLocalBackend')
        super().__init__(backend_args=backend_args, **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Remove half-written checkpoints of a killed run."""
        super().before_train(runner)
        if is_main_process():
            remove_leftovers(self.out_dir)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save a checkpoint, then remove outdated ones.

        Raises:
            OSError: If the checkpoint cannot be written. The message names the last
                complete one.
        """
        outdated: list = []
        backend = self.file_backend
        self.file_backend = _DeferredRemoval(backend, outdated)
        try:
            super()._save_checkpoint_with_step(runner, step, meta)
        except OSError as error:
            path = self.filename_tmpl.format(step)
            raise OSError(
                error.errno,
                f'{error.strerror}: checkpoint {path} could not be written to '
                f'{self.out_dir}; the last complete one is '
                f'{find_complete_checkpoint(self.out_dir)}',
            ) from error
        finally:
            self.file_backend = backend
        for path in outdated:
            backend.remove(path)

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        """Write the published keys of a checkpoint with the backend of this hook.

        mmengine's method does not pass its backend on.
        """
        content = CheckpointLoader.load_checkpoint(ckpt_path)
        content = {k: v for k, v in content.items() if k in self.published_keys}
        digest = hashlib.sha256(pickle.dumps(content)).hexdigest()
        path = f'{ckpt_path.removesuffix(".pth")}-{digest[:8]}.pth'
        save_checkpoint(content, path, backend_args=self.backend_args)
        print_log(f'{ckpt_path} is published as {path}', 'current')


class _DeferredRemoval:
    """A file backend that collects the files to remove instead of removing them."""

    def __init__(self, backend: Any, outdated: list) -> None:
        self._backend, self._outdated = backend, outdated

    def remove(self, path: str) -> None:
        self._outdated.append(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)
