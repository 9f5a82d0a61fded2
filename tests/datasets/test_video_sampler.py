import itertools
import os
import socket
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch.distributed as dist
from mmengine.dataset import ConcatDataset
from mmengine.evaluator import BaseMetric, Evaluator

import dff
from dff.datasets import VideoSampler
from dff.datasets.video_sampler import assign_videos


class Videos:
    """A data set that only knows how long its videos are."""

    def __init__(self, lengths):
        self.lengths = lengths

    def __len__(self):
        return sum(self.lengths)

    def get_video_spans(self):
        edges = [0, *itertools.accumulate(self.lengths)]
        return list(itertools.pairwise(edges))


def on_rank(dataset, rank, world_size):
    info = 'dff.datasets.video_sampler.get_dist_info'
    with mock.patch(info, return_value=(rank, world_size)):
        return list(VideoSampler(dataset))


@pytest.mark.parametrize('world_size', [1, 2, 3, 8])
def test_every_video_is_whole_and_in_order_on_one_rank(world_size):
    dataset = Videos([5, 1, 7, 3])
    parts = [on_rank(dataset, rank, world_size) for rank in range(world_size)]
    assert sorted(itertools.chain(*parts)) == list(range(16))
    for start, stop in dataset.get_video_spans():
        video = list(range(start, stop))
        holders = [part for part in parts if set(part) & set(video)]
        assert len(holders) == 1
        at = holders[0].index(start)
        assert holders[0][at : at + len(video)] == video


def test_balance_is_near_the_best_possible():
    lengths = [30, 2, 25, 11, 9, 8, 17, 4]
    loads = [sum(lengths[v] for v in part) for part in assign_videos(lengths, 3)]
    best = min(
        max(
            sum(n for n, r in zip(lengths, ranks, strict=True) if r == k)
            for k in range(3)
        )
        for ranks in itertools.product(range(3), repeat=len(lengths))
    )
    assert max(loads) <= 4 / 3 * best  # Graham's bound for longest-first


def test_shortened_data_set_is_cut():
    dataset = Videos([4, 4])
    dataset.__class__ = type('Short', (Videos,), dict(__len__=lambda self: 6))
    assert on_rank(dataset, 0, 1) == [0, 1, 2, 3, 4, 5]


def test_concatenated_data_sets():
    whole = ConcatDataset.__new__(ConcatDataset)
    whole.datasets = [Videos([2, 3]), Videos([4])]
    assert on_rank(whole, 0, 2) == [5, 6, 7, 8]
    assert on_rank(whole, 1, 2) == [0, 1, 2, 3, 4]


def test_data_set_without_videos_is_named():
    with pytest.raises(TypeError, match=r'get_video_spans\(\).*list'):
        VideoSampler([1, 2, 3])


class Keep(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return dict(count=len(results), total=sum(r['index'] for r in results))


def evaluate(rank, world_size, port):
    """Run one rank of a test, with one rank more than there are videos."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    dist.init_process_group('gloo', rank=rank, world_size=world_size)
    dataset = Videos([7])
    evaluator = Evaluator(Keep())
    for index in VideoSampler(dataset):
        evaluator.process([dict(index=index)])
    print(evaluator.evaluate(len(dataset)))
    dist.destroy_process_group()


def test_idle_ranks_neither_hang_nor_lose_results(tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    package_root = str(Path(dff.__file__).parents[1])
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), '2', port],
            cwd=tmp_path,
            env=os.environ | dict(PYTHONPATH=package_root),
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in ranks:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert output.strip().endswith("{'count': 7, 'total': 21}")


if __name__ == '__main__':
    evaluate(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
