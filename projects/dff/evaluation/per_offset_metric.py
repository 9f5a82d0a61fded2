"""The paper's protocol: one figure for each distance from the key frame."""

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
from .video_metric import CountedMetric, VideoMetric, quiet

CLASS_MARK = '.'  # `IoU.car` is a figure of one class


@METRICS.register_module()
class PerOffsetMetric(VideoMetric):
    """One copy of any stock metric for each offset i - k, and their mean (Sec. 5.2).

    Predictions say their `offset` in their metainfo. Returned are
    `offset_3/vid/AP50` and so on, and `mean/vid/AP50`. A figure that one offset does
    not have makes the mean nan, with a warning, and so does a warning say when the
    offsets saw different frames (those of a stream do; those of the per-offset data
    set do not).

    Args:
        metric: Config of the metric, or a built one.
        offsets: The offsets to expect, or their number l (0 ... l - 1).
        pooled: Also evaluate all offsets' results as one, for metrics whose results
            add up: the paper's mIoU is over one confusion matrix of all l x n pairs,
            ``pooled/mIoU``. (Its AP is the mean.)
        out_file: JSON file of the figures, written at every evaluation.
        collect_device: See mmengine's BaseMetric.
        prefix: Put before all names; nothing by default.
        collect_dir: See mmengine's BaseMetric.
    """

    is_order_needed = False  # of the frames of a video

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
        """Make one copy of the metric for each offset."""
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
        pristine = self.counted.metric
        self.copies = {int(o): CountedMetric(pristine) for o in offsets}
        self.pooled = pooled
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Hand each labelled frame to the copy of its offset.

        Raises:
            ValueError: A prediction has no `offset`, or one that is not expected.
        """
        for sample in data_samples:
            self.seen.add(sample)
            self._score(sample)

    def _score(self, sample: dict) -> None:
        if not is_labelled(sample):
            return
        # where the start of the video stands in for the key, it is nearer
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
            ValueError: No labelled frame came, or one came in several ways, or fewer
                or more than `size` predictions came.
        """
        self.seen.check(size, type(self).__name__, is_order_needed=self.is_order_needed)
        figures, frames, pool = {}, {}, []
        for offset, counted in self.copies.items():
            with quiet():
                figures[offset], records = counted.evaluate(
                    self.dataset_meta, pool=pool if self.pooled else None
                )
            frames[offset] = {record.frame for record in records}
        if not any(frames.values()):
            raise ValueError('PerOffsetMetric needs labelled frames, got none')
        rows = dict(mean=_means(figures))
        if self.pooled:
            with quiet():
                rows['pooled'] = self.counted.evaluate_results(pool, self.dataset_meta)
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
        """Print the tables, warn, and write the file.

        Args:
            figures: By offset and name.
            frames: Identities of the frames, by offset.
            summary: Mean and, perhaps, pooled figures, by name.
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
