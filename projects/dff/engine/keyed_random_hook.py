"""Trainings that go on as if they had not been interrupted."""

from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from dff.datasets.keyed_loader import with_keyed_draws
from dff.random_state import seed_generators


@HOOKS.register_module()
class KeyedRandomHook(Hook):
    """Make all random draws depend on the seed and the iteration, on nothing before.

    An interrupted training that is resumed then has the losses of one that was not,
    bit for bit, on the same machine with as many ranks. Nothing has to be stored for
    it but the seed, which mmengine keeps in the checkpoint. Draws of an item depend on
    its place in the training (`KeyedBatches`), those of the model on the iteration and
    the rank. The number of workers does not matter.

    Resuming an iteration-based training also takes no time: mmengine loads all earlier
    batches again.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Put a loader with keyed draws in the place of the one that is there.

        Raises:
            TypeError: If the runner was given a loader in the place of its config.
        """
        loop, cfg = runner.train_loop, runner.cfg.get('train_dataloader')
        if not isinstance(cfg, dict):
            raise TypeError(
                'KeyedRandomHook needs the config of train_dataloader, got '
                f'{type(cfg).__name__}'
            )
        # The seed may be of the checkpoint, and workers have drawn already.
        cfg = {**cfg, 'dataset': loop.dataloader.dataset}
        cfg.pop('num_batch_per_epoch', None)  # it is in the data set
        fresh = runner.build_dataloader(cfg, seed=runner.seed)
        is_by_iter = hasattr(loop, 'dataloader_iterator')
        skip = loop.iter if is_by_iter else 0
        loop.dataloader = with_keyed_draws(fresh, seed=runner.seed, skip=skip)
        if is_by_iter:
            iterator = type(loop.dataloader_iterator)(loop.dataloader)
            loop.dataloader_iterator = _Advanced(iterator, skip)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Seed the generators of the model, on all devices."""
        seed_generators((runner.seed, get_rank(), runner.iter))


class _Advanced:
    """An iterator whose first items, which mmengine's loop throws away, are nothing."""

    def __init__(self, iterator: Any, skip: int) -> None:
        self._iterator, self._skip = iterator, skip

    def __next__(self) -> Any:
        if self._skip:
            self._skip -= 1
            return None
        return next(self._iterator)
