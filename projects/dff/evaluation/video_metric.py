"""Any stock metric on the results of a video model."""

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

from .coverage import SeenFrames
from .prediction_id import FrameRecord, first_occurrences, frame_record, is_labelled


class CountedMetric:
    """One copy of a stock metric that knows which result belongs to which frame.

    It drops what samplers repeat as padding, over ranks too, and evaluates with the
    number of its own results (mmengine cuts results to the size of the data set,
    which counts unlabelled frames and all offsets).
    """

    def __init__(self, metric: BaseMetric) -> None:
        """Keep `metric` as it is, to copy it for every evaluation."""
        self._pristine = metric
        self.reset()

    def reset(self) -> None:
        """Start over; stock CocoMetric keeps the ground truth of its first use."""
        self.metric = copy.deepcopy(self._pristine)
        self.records: list[FrameRecord] = []
        self._ends: list[int] = []

    def process(self, sample: dict, dataset_meta: dict | None) -> None:
        """Hand one labelled frame to the metric."""
        self.metric.dataset_meta = dataset_meta
        self.metric.process(None, [sample])
        self.records.append(frame_record(sample))
        self._ends.append(len(self.metric.results))

    def evaluate(
        self, dataset_meta: dict | None, *, pool: list | None = None
    ) -> tuple[dict, list[FrameRecord]]:
        """Return the figures and the frames they are over; call it on all ranks.

        The results that counted are added to ``pool``.
        """
        self.metric.dataset_meta = dataset_meta
        by_rank = all_gather_object(self.records)
        gathered = [record for records in by_rank for record in records]
        is_first = first_occurrences(gathered)
        counted = [r for r, first in zip(gathered, is_first, strict=True) if first]
        self._keep(_own_part(is_first, by_rank, self.records))
        if pool is not None:
            pool += self.metric.results
        figures = self.evaluate_results(self.metric.results, dataset_meta)
        return figures, counted

    def evaluate_results(self, results: list, dataset_meta: dict | None) -> dict:
        """Return the figures over results of this rank and all others, and reset."""
        self.metric.dataset_meta = dataset_meta
        self.metric.results = results
        size = sum(all_gather_object(len(results)))
        figures = self.metric.evaluate(size) if size else {}
        self.reset()
        return figures

    def _keep(self, is_kept: Sequence[bool]) -> None:
        starts = [0, *self._ends][: len(self._ends)]
        kept_results = []
        for start, end, kept in zip(starts, self._ends, is_kept, strict=True):
            kept_results += self.metric.results[start:end] if kept else []
        self.metric.results = kept_results


def _own_part(is_first: list[bool], by_rank: list, own: list) -> list[bool]:
    """Return the entries of `is_first` that belong to this rank's records."""
    start = sum(len(records) for records in by_rank[: get_rank()])
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
    """A stock metric over the labelled frames of a video data set.

    Frames with `is_labelled` False run through the model but do not reach the metric;
    a frame that a sampler repeats is counted once, and one frame predicted twice in
    different ways is an error. Metrics that take ground truth from the samples are
    right here: stock `CocoMetric` without `ann_file` and with `instances` in
    `meta_keys` (with `ann_file` it scores every image of that file).

    Args:
        metric: Config of the metric, or a built one.
        collect_device: See mmengine's BaseMetric.
        prefix: Put before the names that the metric gives; nothing by default.
        collect_dir: See mmengine's BaseMetric.
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
        """Build the metric inside."""
        super().__init__(collect_device, prefix, collect_dir)
        if isinstance(metric, Mapping):
            metric = METRICS.build(metric)
        if not isinstance(metric, BaseMetric):
            raise TypeError(f'metric must be a metric or its config, got {metric!r}')
        self.counted = CountedMetric(metric)
        self.seen = SeenFrames()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Hand the labelled frames on; `data_batch` is not (it holds all frames)."""
        for sample in data_samples:
            self.seen.add(sample)
            if is_labelled(sample):
                self.counted.process(sample, self.dataset_meta)

    def evaluate(self, size: int) -> dict[str, Any]:
        """Return the metric's figures over the labelled ones of `size` frames.

        Raises:
            ValueError: No labelled frame came, or one came in several ways, or fewer
                or more than `size` frames came.
        """
        self.seen.check(size, type(self).__name__)
        figures, frames = self.counted.evaluate(self.dataset_meta)
        if not frames:
            raise ValueError(f'{type(self).__name__} needs labelled frames, got none')
        return self.with_prefix(figures)

    def with_prefix(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Put `prefix`, if any, before the names."""
        if not self.prefix:
            return figures
        return {f'{self.prefix}/{name}': value for name, value in figures.items()}

    def compute_metrics(self, results: list) -> dict[str, Any]:
        """Not used: the metric inside computes from its own results."""
        raise NotImplementedError('the metric inside holds the results')
