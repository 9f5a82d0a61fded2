"""Make an interrupted training continue as if it had not been interrupted."""

from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from dff.datasets.keyed_loader import make_keyed_loader
from dff.random_state import seed_generators


@HOOKS.register_module()
class KeyedRandomHook(Hook):
    """Make random draws depend only on the seed and the position in the training.

    A training that was interrupted and resumed then has the same losses as one that
    was not, bit for bit, on the same machine with the same number of ranks. The
    checkpoint needs to hold only the seed, which mmengine writes to it. Draws for an
    item depend on its position in the training (`KeyedBatches`), draws of the model on
    the iteration and the rank. The number of workers does not matter.

    Resuming an iteration-based training is also fast, because earlier batches are
    skipped. mmengine alone loads all of them again.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Replace the training loader by one with keyed draws.

        Raises:
            TypeError: If the runner was built from a loader instead of its config.
        """
        loop, cfg = runner.train_loop, runner.cfg.get('train_dataloader')
        if not isinstance(cfg, dict):
            raise TypeError(
                'KeyedRandomHook needs the config of train_dataloader, got '
                f'{type(cfg).__name__}'
            )
        # The seed may come from the checkpoint, and workers have drawn already.
        cfg = {**cfg, 'dataset': loop.dataloader.dataset}
        cfg.pop('num_batch_per_epoch', None)  # the data set is already shortened
        fresh = runner.build_dataloader(cfg, seed=runner.seed)
        is_by_iter = hasattr(loop, 'dataloader_iterator')
        skip = loop.iter if is_by_iter else 0
        loop.dataloader = make_keyed_loader(fresh, seed=runner.seed, skip=skip)
        if is_by_iter:
            iterator = type(loop.dataloader_iterator)(loop.dataloader)
            loop.dataloader_iterator = _SkippingIterator(iterator, skip)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Seed the generators that the model draws from, on all devices."""
        seed_generators((runner.seed, get_rank(), runner.iter))


class _SkippingIterator:
    """An iterator whose first `skip` items are None; mmengine's loop discards them."""

    def __init__(self, iterator: Any, skip: int) -> None:
        self._iterator, self._skip = iterator, skip

    def __next__(self) -> Any:
        if self._skip:
            self._skip -= 1
            return None
        return next(self._iterator)
