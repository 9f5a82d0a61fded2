"""What the tests of several ranks share."""

import mmengine.dist
import pytest
import torch


def _work(rank, evaluate, part, store, queue):
    torch.set_num_threads(1)  # a forked child must not enter a parallel region
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=2
    )
    queue.put(evaluate(part))
    mmengine.dist.barrier()
    torch.distributed.destroy_process_group()


@pytest.fixture
def on_two_ranks(tmp_path, monkeypatch):
    """Give `run(evaluate, parts)`: what each of two gloo ranks finds on its part."""
    monkeypatch.chdir(tmp_path)  # mmengine collects under the working directory

    def run(evaluate, parts):
        context = torch.multiprocessing.get_context('fork')
        queue = context.SimpleQueue()
        workers = [
            context.Process(
                target=_work, args=(rank, evaluate, part, tmp_path / 'store', queue)
            )
            for rank, part in enumerate(parts)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            assert worker.exitcode == 0
        return [queue.get() for _ in workers]

    return run
