"""A test with one rank more than there are videos."""

import itertools
import json
import os

import torch.distributed as dist
from mmengine.evaluator import BaseMetric, Evaluator

from dff.datasets import VideoSampler


class Videos:
    """A data set that only knows how long its videos are."""

    def __init__(self, lengths):
        self.lengths = lengths

    def __len__(self):
        return sum(self.lengths)

    def get_video_spans(self):
        edges = [0, *itertools.accumulate(self.lengths)]
        return list(itertools.pairwise(edges))


class Keep(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return dict(count=len(results), total=sum(r['index'] for r in results))


def evaluate(rank, folder):
    """Evaluate one video as one of two ranks; what is found goes to a file."""
    os.chdir(folder)  # mmengine collects under the working directory
    store = (folder / 'store').as_uri()
    dist.init_process_group('gloo', init_method=store, rank=rank, world_size=2)
    dataset = Videos([7])
    evaluator = Evaluator(Keep())
    for index in VideoSampler(dataset):
        evaluator.process([dict(index=index)])
    found = evaluator.evaluate(len(dataset))
    (folder / f'{rank}.json').write_text(json.dumps(found))
    dist.destroy_process_group()
