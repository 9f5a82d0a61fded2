"""Average precision as ImageNet VID measures it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS
from terminaltables import AsciiTable

from .average_precision import (
    average_precision,
    match_boxes,
    match_thresholds,
)
from .frames import FrameRecord, first_occurrences, frame_record, is_labelled


@dataclass
class FrameResult:
    """Boxes (D, 4) found in a frame and boxes (G, 4) that are there, in pixels."""

    record: FrameRecord
    boxes: np.ndarray
    scores: np.ndarray  # (D,)
    labels: np.ndarray  # (D,)
    gt_boxes: np.ndarray
    gt_labels: np.ndarray  # (G,)
    is_ignored: np.ndarray  # (G,)


@METRICS.register_module()
class VIDMetric(BaseMetric):
    """AP of ImageNet VID: own IoU threshold for small boxes, all-point AP.

    A match needs IoU >= min(iou_thr, w h / ((w + 10) (h + 10))) of the ground-truth
    box with "+1" areas; the mean is over the classes that have ground truth. Frames
    with `is_labelled` False are not counted. Ground truth is the metainfo `instances`
    if given (original pixels, as for stock CocoMetric), else `gt_instances`, which
    the pipeline must load *after* resizing so that it is in original pixels too.
    Equal scores are ranked in frame order.

    Args:
        classes: Names to evaluate; by default all of the data set's.
        iou_thrs: IoU thresholds in (0, 1]; `AP50` is the figure at 0.5. Several add
            their mean, `mAP`.
        with_small_box_tolerance: Lower the threshold of small boxes as above.
        classwise: Also return `AP50_<class>`.
        collect_device: See mmengine's BaseMetric.
        prefix: Of the figures' names.
        collect_dir: See mmengine's BaseMetric.
    """

    default_prefix = 'vid'

    def __init__(
        self,
        classes: Sequence[str] | None = None,
        iou_thrs: Sequence[float] = (0.5,),
        *,
        with_small_box_tolerance: bool = True,
        classwise: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Check and keep the options."""
        super().__init__(collect_device, prefix, collect_dir)
        if isinstance(iou_thrs, float):
            iou_thrs = (iou_thrs,)
        if not iou_thrs or not all(0 < thr <= 1 for thr in iou_thrs):
            raise ValueError(f'iou_thrs must be in (0, 1], got {iou_thrs!r}')
        self.classes = classes
        self.iou_thrs = tuple(iou_thrs)
        self.with_small_box_tolerance = with_small_box_tolerance
        self.classwise = classwise

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep boxes and ground truth of the labelled frames as numpy arrays."""
        for sample in data_samples:
            if is_labelled(sample):
                gt_boxes, gt_labels, is_ignored = _ground_truth(sample)
                predicted = sample['pred_instances']
                self.results.append(
                    FrameResult(
                        record=frame_record(sample),
                        boxes=_boxes(predicted['bboxes']),
                        scores=_array(predicted['scores']),
                        labels=_array(predicted['labels']),
                        gt_boxes=gt_boxes,
                        gt_labels=gt_labels,
                        is_ignored=is_ignored,
                    )
                )

    def evaluate(self, size: int) -> dict[str, float]:
        """Evaluate all labelled frames of all ranks.

        Args:
            size: Not used: unlabelled frames leave fewer results than the data set
                has frames, and mmengine's cut to `size` would be arbitrary.
        """
        del size
        return super().evaluate(sum(all_gather_object(len(self.results))))

    def compute_metrics(self, results: list[FrameResult]) -> dict[str, float]:
        """Return AP per threshold, and print one row a class.

        Raises:
            ValueError: No labelled frame came, a class is unknown, or a frame came
                more than once with another offset or from another source.
        """
        if not results:
            raise ValueError('VIDMetric needs labelled frames, got none')
        labels = self._labels()
        results = sorted(results, key=lambda result: result.record.sort_key)
        is_first = first_occurrences(result.record for result in results)
        results = [r for r, first in zip(results, is_first, strict=True) if first]
        figures: dict[str, float] = {}
        table = {name: {} for name in labels}
        for thr in self.iou_thrs:
            name = f'AP{100 * thr:g}'
            for cls, label in labels.items():
                table[cls][name] = self._class_ap(results, label, thr)
            figures[name] = _mean_of_defined([row[name] for row in table.values()])
        if len(self.iou_thrs) > 1:
            figures['mAP'] = float(np.mean(list(figures.values())))
        self._print_table(results, labels, table, figures)
        if self.classwise:
            for cls, row in table.items():
                figures.update({f'{name}_{cls}': ap for name, ap in row.items()})
        return figures

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
        self, results: list[FrameResult], label: int, iou_thr: float
    ) -> float:
        scores, status, num_gt = [np.zeros(0)], [np.zeros(0, np.int8)], 0
        for result in results:
            found = np.flatnonzero(result.labels == label)
            found = found[np.argsort(-result.scores[found], kind='stable')]
            of_class = result.gt_labels == label
            is_ignored = result.is_ignored[of_class]
            gt_boxes = result.gt_boxes[of_class].astype(np.float64)
            num_gt += int((~is_ignored).sum())
            if not len(found):
                continue
            thresholds = match_thresholds(
                gt_boxes,
                iou_thr,
                with_small_box_tolerance=self.with_small_box_tolerance,
            )
            scores.append(result.scores[found])
            status.append(
                match_boxes(
                    result.boxes[found].astype(np.float64),
                    gt_boxes,
                    thresholds=thresholds,
                    is_ignored=is_ignored,
                )
            )
        return average_precision(np.concatenate(scores), np.concatenate(status), num_gt)

    def _print_table(self, results, labels, table, figures) -> None:
        names = list(figures)
        if all(np.isnan(list(figures.values()))):
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
                aps = [f'{table[cls].get(name, np.nan):.4f}' for name in names]
                rows.append([cls, count, *aps])
        rows.append(['mean', '', *(f'{ap:.4f}' for ap in figures.values())])
        print_log(
            f'VID AP over {len(results)} labelled frames\n' + AsciiTable(rows).table,
            logger='current',
        )


def _array(values: Any) -> np.ndarray:
    if hasattr(values, 'detach'):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def _boxes(values: Any) -> np.ndarray:
    return _array(values).reshape(-1, 4)


def _ground_truth(
    sample: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes (G, 4), labels (G,) and whether each is to be ignored (G,)."""
    if sample.get('instances') is not None:
        instances = sample['instances']
        boxes = _boxes([instance['bbox'] for instance in instances])
        labels = np.array([i['bbox_label'] for i in instances], dtype=np.int64)
        ignored = np.array([i.get('ignore_flag', 0) for i in instances], dtype=bool)
        return boxes, labels, ignored
    gt = sample.get('gt_instances') or {}
    if 'bboxes' not in gt:
        raise ValueError(
            f'a labelled frame needs its boxes, got none for {sample.get("img_path")}: '
            "load annotations in the test pipeline, or name 'instances' in meta_keys"
        )
    parts = [gt, sample.get('ignored_instances') or {}]
    parts = [part for part in parts if 'bboxes' in part]
    boxes = [_boxes(part['bboxes']) for part in parts]
    counts = [len(part_boxes) for part_boxes in boxes]
    is_ignored = np.arange(sum(counts)) >= counts[0]
    labels = np.concatenate([_array(part['labels']) for part in parts])
    return np.concatenate(boxes), labels, is_ignored


def _mean_of_defined(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float('nan')
