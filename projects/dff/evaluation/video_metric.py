"""Run any stock metric on the results of a video model."""

import contextlib
import copy
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.dist import all_gather_object, get_rank
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

from .coverage import CoverageCheck
from .prediction_id import (
    PredictionId,
    identify_prediction,
    is_labelled,
    mark_first_predictions,
)


class MetricCopy:
    """Copy of a stock metric that records which result belongs to which frame.

    It drops the repeats that samplers add as padding, over all ranks, and evaluates
    with the number of its own results (mmengine cuts results to the size of the data
    set, which counts unlabelled frames and all offsets).
    """

    def __init__(self, metric: BaseMetric) -> None:
        """Store `metric`, of which every evaluation uses a fresh copy."""
        self._pristine = metric
        self.reset()

    def reset(self) -> None:
        """Make a fresh copy: stock CocoMetric caches its first ground truth."""
        self.metric = copy.deepcopy(self._pristine)
        self.ids: list[PredictionId] = []
        self._ends: list[int] = []

    def process(self, sample: dict, dataset_meta: dict | None) -> None:
        """Pass one labelled frame to the metric."""
        self.metric.dataset_meta = dataset_meta
        self.metric.process(None, [sample])
        self.ids.append(identify_prediction(sample))
        self._ends.append(len(self.metric.results))

    def evaluate(
        self, dataset_meta: dict | None, *, pool: list | None = None
    ) -> tuple[dict, list[PredictionId]]:
        """Evaluate without repeats; call it on all ranks.

        Args:
            dataset_meta: Metainfo of the data set.
            pool: List to which the evaluated results are added; None adds them nowhere.

        Returns:
            The figures, and the ids of the evaluated frames.
        """
        self.metric.dataset_meta = dataset_meta
        by_rank = all_gather_object(self.ids)
        gathered = [prediction_id for ids in by_rank for prediction_id in ids]
        is_first = mark_first_predictions(gathered)
        counted = [r for r, first in zip(gathered, is_first, strict=True) if first]
        self._drop_repeats(_own_part(is_first, by_rank, self.ids))
        if pool is not None:
            pool += self.metric.results
        figures = self.evaluate_results(self.metric.results, dataset_meta)
        return figures, counted

    def evaluate_results(self, results: list, dataset_meta: dict | None) -> dict:
        """Return the figures over the results of all ranks, and reset."""
        self.metric.dataset_meta = dataset_meta
        self.metric.results = results
        size = sum(all_gather_object(len(results)))
        figures = self.metric.evaluate(size) if size else {}
        self.reset()
        return figures

    def _drop_repeats(self, is_first: Sequence[bool]) -> None:
        starts = [0, *self._ends][: len(self._ends)]
        results: list = []
        for start, end, first in zip(starts, self._ends, is_first, strict=True):
            results += self.metric.results[start:end] if first else []
        self.metric.results = results


def _own_part(is_first: list[bool], by_rank: list, own: list) -> list[bool]:
    """Return the entries of `is_first` that belong to this rank's ids."""
    start = sum(len(ids) for ids in by_rank[: get_rank()])
    return is_first[start : start + len(own)]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what metrics print and log below a warning."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        with open(os.devnull, 'w') as sink, contextlib.redirect_stdout(sink):
            yield
    finally:
        logger.setLevel(level)


@METRICS.register_module()
class VideoMetric(BaseMetric):
    """Stock metric over the labelled frames of a video data set.

    Frames with `is_labelled` False run through the model but do not reach the metric.
    A frame that a sampler repeats counts once, and one frame predicted twice in
    different ways is an error. Use metrics that read ground truth from the samples:
    stock `CocoMetric` without `ann_file` and with `instances` in `meta_keys` (with
    `ann_file` it scores every image of that file).

    Args:
        metric: Config of the metric, or a built one.
        collect_device: See mmengine's BaseMetric.
        prefix: Prefix of the metric's names; none by default.
        collect_dir: See mmengine's BaseMetric.

    Raises:
        TypeError: If `metric` is neither a metric nor a config of one.
    """

    default_prefix = ''

    def __init__(
        self,
        metric: Mapping | BaseMetric,
        *,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Build the inner metric."""
        super().__init__(collect_device, prefix, collect_dir)
        if isinstance(metric, Mapping):
            metric = METRICS.build(metric)
        if not isinstance(metric, BaseMetric):
            raise TypeError(f'metric must be a metric or its config, got {metric!r}')
        self.inner = MetricCopy(metric)
        self.coverage = CoverageCheck()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Pass the labelled frames on; not `data_batch`, which holds all frames."""
        for sample in data_samples:
            self.coverage.add(sample)
            if is_labelled(sample):
                self.inner.process(sample, self.dataset_meta)

    def evaluate(self, size: int) -> dict[str, Any]:
        """Return the metric's figures over the labelled frames.

        Args:
            size: Number of frames of the data set, labelled or not.

        Raises:
            ValueError: If no labelled frame came, a frame came in several ways, or
                fewer or more than `size` frames came.
        """
        self.coverage.check(size, type(self).__name__)
        figures, frames = self.inner.evaluate(self.dataset_meta)
        if not frames:
            raise ValueError(f'{type(self).__name__} needs labelled frames, got none')
        return self.with_prefix(figures)

    def with_prefix(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Return the figures with `prefix`, if any, before their names."""
        if not self.prefix:
            return figures
        return {f'{self.prefix}/{name}': value for name, value in figures.items()}

    def compute_metrics(self, results: list) -> dict[str, Any]:
        """Not used: the inner metric computes from its own results.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError('the inner metric holds the results')
