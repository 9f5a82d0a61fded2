"""Average precision as ImageNet VID measures it."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS
from terminaltables import AsciiTable

from .average_precision import average_precision, match_boxes, match_thresholds
from .coverage import CoverageCheck
from .detection_result import DetectionResult
from .gather_results import gather_on_main
from .motion_iou import SPEEDS, MotionSplit, check_tracks
from .prediction_id import is_labelled, mark_first_predictions


@METRICS.register_module()
class VIDMetric(BaseMetric):
    """AP of ImageNet VID: lower IoU threshold for small boxes, all-point AP.

    A match needs IoU >= min(iou_thr, w h / ((w + 10) (h + 10))) with a ground-truth
    box of size w x h and "+1" areas. The mean is over the classes with ground truth.
    Frames with `is_labelled` False are not counted. Ground truth is the metainfo
    `instances` if present (original pixels, as for stock CocoMetric), else
    `gt_instances`, which the pipeline must load *after* resizing so that it is in
    original pixels too. Equal scores are ranked in frame order.

    Args:
        classes: Names to evaluate; by default all of the data set's.
        iou_thrs: IoU thresholds in (0, 1]; `AP50` is the figure at 0.5. With several
            the metric also returns their mean, `mAP`.
        with_small_box_tolerance: Lower the threshold of small boxes as above.
        classwise: Also return `AP50_<class>`.
        with_motion_split: Also return `slow/AP50`, `medium/AP50` and `fast/AP50`, by
            the mean IoU of a box with its track up to 10 frames before and after
            (> 0.9, between, < 0.7; FGFA, Sec. 4), and the share of boxes of each
            speed, `slow/share`. Every box then needs an `instance_id`.
        with_motion_tolerance: Lower the threshold of small boxes in the motion split
            too; the released figures do not.
        collect_device: See mmengine's BaseMetric.
        prefix: Prefix of the figures' names.
        collect_dir: See mmengine's BaseMetric.

    Raises:
        ValueError: If a threshold is not in (0, 1].
    """

    default_prefix = 'vid'

    def __init__(
        self,
        classes: Sequence[str] | None = None,
        iou_thrs: Sequence[float] = (0.5,),
        *,
        with_small_box_tolerance: bool = True,
        classwise: bool = False,
        with_motion_split: bool = False,
        with_motion_tolerance: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Check and store the options."""
        super().__init__(collect_device, prefix, collect_dir)
        if isinstance(iou_thrs, float):
            iou_thrs = (iou_thrs,)
        if not iou_thrs or not all(0 < thr <= 1 for thr in iou_thrs):
            raise ValueError(f'iou_thrs must be in (0, 1], got {iou_thrs!r}')
        self.classes = classes
        self.iou_thrs = tuple(iou_thrs)
        self.with_small_box_tolerance = with_small_box_tolerance
        self.classwise = classwise
        self.with_motion_split = with_motion_split
        self.with_motion_tolerance = with_motion_tolerance
        self.coverage = CoverageCheck()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store boxes and ground truth of the labelled frames as arrays.

        Raises:
            ValueError: If a frame has no ids, its boxes were not loaded, or a box
                lacks the track that the motion split needs.
        """
        for sample in data_samples:
            self.coverage.add(sample)
            if is_labelled(sample):
                result = DetectionResult.from_sample(sample)
                if self.with_motion_split:
                    check_tracks(result)
                self.results.append(result)

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the figures over the labelled frames of all ranks.

        Args:
            size: Number of frames of the data set, labelled or not.

        Raises:
            ValueError: If fewer or more than `size` frames came; see also
                ``compute_metrics``.
        """
        self.coverage.check(size, type(self).__name__)
        results = gather_on_main(self.results)
        figures = self.compute_metrics(results) if is_main_process() else {}
        named = [{f'{self.prefix}/{name}': value for name, value in figures.items()}]
        broadcast_object_list(named)
        return named[0]

    def compute_metrics(self, results: list[DetectionResult]) -> dict[str, float]:
        """Return the AP per threshold, and print one row per class.

        Raises:
            ValueError: If no labelled frame came, a class is unknown, or a frame came
                again with another offset or from another source.
        """
        if not results:
            raise ValueError('VIDMetric needs labelled frames, got none')
        labels = self._labels()
        results = sorted(results, key=lambda result: result.prediction_id.sort_key)
        is_first = mark_first_predictions(result.prediction_id for result in results)
        results = [r for r, first in zip(results, is_first, strict=True) if first]
        aps = {
            f'AP{100 * thr:g}': {
                cls: self._class_ap(results, label, thr)
                for cls, label in labels.items()
            }
            for thr in self.iou_thrs
        }
        figures = {name: _mean_of_defined(row.values()) for name, row in aps.items()}
        if len(self.iou_thrs) > 1:
            figures['mAP'] = float(np.mean(list(figures.values())))
        if self.with_motion_split:
            by_speed, shares = self._motion_aps(results, labels)
            aps |= by_speed
            figures |= {
                n: _mean_of_defined(row.values()) for n, row in by_speed.items()
            }
            figures |= {f'{speed}/share': share for speed, share in shares.items()}
        self._print_table(results, labels, aps, figures)
        if self.classwise:
            for name, row in aps.items():
                figures |= {f'{name}_{cls}': ap for cls, ap in row.items()}
        return figures

    def _motion_aps(
        self, results: list[DetectionResult], labels: dict[str, int]
    ) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """Return the APs by figure and class, and the share of boxes of each speed."""
        split = MotionSplit(
            results, with_small_box_tolerance=self.with_motion_tolerance
        )
        aps: dict[str, dict[str, float]] = {
            f'{speed}/AP{100 * thr:g}': {} for thr in self.iou_thrs for speed in SPEEDS
        }
        for thr in self.iou_thrs:
            for cls, label in labels.items():
                for speed, ap in split.class_aps(label, thr).items():
                    aps[f'{speed}/AP{100 * thr:g}'][cls] = ap
        return aps, split.shares

    def _labels(self) -> dict[str, int]:
        """Return the label of each class to evaluate."""
        known = list((self.dataset_meta or {}).get('classes', ()))
        wanted = known if self.classes is None else list(self.classes)
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            raise ValueError(
                f'classes must be among those of the data set {known}, '
                f'got unknown {unknown}'
            )
        return {name: known.index(name) for name in wanted}

    def _class_ap(
        self, results: list[DetectionResult], label: int, iou_thr: float
    ) -> float:
        scores, status, num_gt = [np.zeros(0)], [np.zeros(0, np.int8)], 0
        for result in results:
            indices = result.indices_of(label)
            of_class = result.gt_labels == label
            is_ignored = result.is_ignored[of_class]
            gt_boxes = result.gt_boxes[of_class].astype(np.float64)
            num_gt += int((~is_ignored).sum())
            if not len(indices):
                continue
            thresholds = match_thresholds(
                gt_boxes,
                iou_thr,
                with_small_box_tolerance=self.with_small_box_tolerance,
            )
            scores.append(result.scores[indices])
            status.append(
                match_boxes(
                    result.boxes[indices].astype(np.float64),
                    gt_boxes,
                    thresholds=thresholds,
                    is_ignored=is_ignored,
                )
            )
        return average_precision(np.concatenate(scores), np.concatenate(status), num_gt)

    def _print_table(self, results, labels, aps, figures) -> None:
        names = [name for name in figures if not name.endswith('/share')]
        if all(np.isnan([figures[name] for name in names])):
            print_log(
                f'no ground truth of {list(labels)} in {len(results)} labelled frames: '
                'AP is undefined (nan)',
                logger='current',
                level=logging.WARNING,
            )
        rows = [['class', 'boxes', *names]]
        for cls, label in labels.items():
            count = sum(
                int(((r.gt_labels == label) & ~r.is_ignored).sum()) for r in results
            )
            if count:
                row = [aps.get(name, {}).get(cls, np.nan) for name in names]
                rows.append([cls, count, *(f'{ap:.4f}' for ap in row)])
        rows.append(['mean', '', *(f'{figures[name]:.4f}' for name in names)])
        shares = [f'{k}: {v:.4f}' for k, v in figures.items() if k not in names]
        print_log(
            f'VID AP over {len(results)} labelled frames\n'
            + AsciiTable(rows).table
            + ''.join(f'\n{line}' for line in shares),
            logger='current',
        )


def _mean_of_defined(values: Iterable[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float('nan')
