"""The paper's protocol: one figure per distance from the key frame."""

import logging
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS
from terminaltables import AsciiTable

from dff.files import write_json

from .prediction_id import is_labelled
from .video_metric import MetricCopy, VideoMetric, quiet

CLASS_MARK = '.'  # `IoU.car` is a figure of one class


@METRICS.register_module()
class PerOffsetMetric(VideoMetric):
    """Any stock metric by offset i - k, and the mean over offsets (Sec. 5.2).

    The metainfo of a prediction holds its `offset`. The metric returns
    `offset_3/vid/AP50` and so on, and `mean/vid/AP50`. If an offset lacks a figure,
    the mean is nan, with a warning. It also warns if the offsets saw different
    frames, as in a stream but not in the per-offset data set.

    Args:
        metric: Config of the metric, or a built one.
        offsets: The offsets to expect, or their number l (0 ... l - 1).
        pooled: Also evaluate the results of all offsets as one set: the paper's mIoU
            is over one confusion matrix of all l x n pairs, ``pooled/mIoU``, while
            its AP is the mean. The metric's results must add up.
        out_file: JSON file of the figures, written at every evaluation.
        collect_device: See mmengine's BaseMetric.
        prefix: Prefix of all names; none by default.
        collect_dir: See mmengine's BaseMetric.

    Raises:
        ValueError: If `offsets` are not different integers >= 0.
    """

    is_order_needed = False  # of the frames of each video

    def __init__(
        self,
        metric: Mapping | BaseMetric,
        offsets: Sequence[int] | int = 10,  # 0 ... 9: l = 10, paper Sec. 5
        *,
        pooled: bool = False,
        out_file: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Create one copy of the metric per offset."""
        super().__init__(
            metric,
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir,
        )
        offsets = range(offsets) if isinstance(offsets, int) else offsets
        if not len(offsets) or min(offsets) < 0 or len(set(offsets)) != len(offsets):
            raise ValueError(
                f'offsets must be different integers >= 0, got {list(offsets)}'
            )
        pristine = self.inner.metric
        self.copies = {int(o): MetricCopy(pristine) for o in offsets}
        self.pooled = pooled
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Pass each labelled frame to the metric of its offset.

        Raises:
            ValueError: If a prediction has no `offset`, or an unexpected one.
        """
        for sample in data_samples:
            self.coverage.add(sample)
            self._score(sample)

    def _score(self, sample: dict) -> None:
        if not is_labelled(sample):
            return
        # at the start of a video the key frame is nearer than the asked offset
        offset = sample.get('asked_offset', sample.get('offset'))
        if offset not in self.copies:
            raise ValueError(
                'offset in the metainfo of a prediction must be one of '
                f'{list(self.copies)}, got {offset!r} for {sample.get("img_path")}'
            )
        self.copies[offset].process(sample, self.dataset_meta)

    def evaluate(self, size: int) -> dict[str, Any]:
        """Return the figures of every offset and their means, and print a table.

        Raises:
            ValueError: If no labelled frame came, a frame came in several ways, or
                fewer or more than `size` predictions came.
        """
        self.coverage.check(
            size, type(self).__name__, is_order_needed=self.is_order_needed
        )
        figures: dict[int, Any] = {}
        frames: dict[int, Any] = {}
        pool: list = []
        for offset, metric in self.copies.items():
            with quiet():
                figures[offset], ids = metric.evaluate(
                    self.dataset_meta, pool=pool if self.pooled else None
                )
            frames[offset] = {item.frame for item in ids}
        if not any(frames.values()):
            raise ValueError('PerOffsetMetric needs labelled frames, got none')
        rows = dict(mean=_means(figures))
        if self.pooled:
            with quiet():
                rows['pooled'] = self.inner.evaluate_results(pool, self.dataset_meta)
        if is_main_process():
            self._report(figures, frames, rows)
        named = {
            f'offset_{offset}/{name}': value
            for offset, row in figures.items()
            for name, value in row.items()
        }
        for title, row in rows.items():
            named.update({f'{title}/{name}': value for name, value in row.items()})
        return self.with_prefix(named)

    def _report(self, figures: dict, frames: dict, summary: dict[str, dict]) -> None:
        """Print the tables and warnings, and write the file.

        Args:
            figures: Figures by offset and name.
            frames: Evaluated frames by offset.
            summary: Figures of the mean and, if asked for, of all results pooled.
        """
        names = list(summary['mean'])
        whole = [name for name in names if CLASS_MARK not in name]
        rows = [['offset', 'frames', *whole]]
        for offset, row in figures.items():
            cells = [_cell(row.get(name)) for name in whole]
            rows.append([offset, len(frames[offset]), *cells])
        for title, row in summary.items():
            rows.append([title, '', *(_cell(row.get(name)) for name in whole)])
        left_out = (self.dataset_meta or {}).get('num_left_out')
        left = '' if left_out is None else f', {left_out} frames left out of all'
        print_log(f'By offset{left}\n{AsciiTable(rows).table}', logger='current')
        by_class = [name for name in names if CLASS_MARK in name]
        if by_class:
            columns = {**figures, **summary}
            rows = [['class', *map(str, columns)]]
            for name in by_class:
                rows.append([name, *(_cell(row.get(name)) for row in columns.values())])
            print_log('By class\n' + AsciiTable(rows).table, logger='current')
        undefined = [name for name in whole if math.isnan(summary['mean'][name])]
        if undefined:
            _warn(f'some offsets have no {undefined}: their mean is undefined (nan)')
        if any(seen != next(iter(frames.values())) for seen in frames.values()):
            _warn('the offsets saw different frames: differences mix frame and offset')
        if self.out_file is not None:
            content = {
                'offsets': figures,
                **summary,
                'frames': {offset: len(seen) for offset, seen in frames.items()},
                'num_left_out': left_out,
            }
            write_json(content, self.out_file)


def _means(figures: dict[int, dict[str, Any]]) -> dict[str, float]:
    """Average each figure that is a number over all offsets."""
    names: dict[str, None] = {}
    for row in figures.values():
        names.update({n: None for n, v in row.items() if isinstance(v, Real)})
    return {
        name: sum(float(row.get(name, math.nan)) for row in figures.values())
        / len(figures)
        for name in names
    }


def _cell(value: Any) -> str:
    return '-' if value is None else f'{float(value):.4f}'


def _warn(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)
