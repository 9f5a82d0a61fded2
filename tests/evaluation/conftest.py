"""What the tests of several ranks share."""

import itertools
import time

import mmengine.dist
import pytest
import torch

SECONDS = 60  # that two ranks may take


def _work(rank, evaluate, part, store, queue):
    torch.set_num_threads(1)  # a forked child must not enter a parallel region
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=2
    )
    queue.put((rank, evaluate(part)))
    mmengine.dist.barrier()
    torch.distributed.destroy_process_group()


@pytest.fixture
def on_two_ranks(tmp_path, monkeypatch):
    """Give `run(evaluate, parts)`: what each of two gloo ranks finds on its part."""
    monkeypatch.chdir(tmp_path)  # mmengine collects under the working directory
    context = torch.multiprocessing.get_context('fork')
    calls = itertools.count()

    def run(evaluate, parts):
        queue = context.SimpleQueue()
        store = tmp_path / f'store {next(calls)}'  # a second call must not find it
        workers = [
            context.Process(
                target=_work, args=(rank, evaluate, part, store, queue), daemon=True
            )
            for rank, part in enumerate(parts)
        ]
        for worker in workers:
            worker.start()
        end = time.monotonic() + SECONDS
        for worker in workers:
            worker.join(max(end - time.monotonic(), 0))
        codes = [worker.exitcode for worker in workers]
        for worker in workers:
            worker.kill()
        assert codes == [0, 0], f'exit codes of the ranks (None hangs): {codes}'
        found = dict(queue.get() for _ in workers)
        return [found[rank] for rank in (0, 1)]

    return run
