"""mIoU, and the IoU of every class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.registry import METRICS
from mmseg.evaluation import IoUMetric


@METRICS.register_module()
class SegIoUMetric(IoUMetric):
    """mmseg's ``IoUMetric`` without rounding, and with the IoU of each class.

    It returns ``mIoU``, ``mAcc`` and ``aAcc`` in percent, and ``IoU.CLASS``. A class
    that is neither labelled nor predicted is nan and left out of the mean. Void
    pixels (``ignore_index``) are not counted; if all are void, all figures are nan.
    Counts are exact for any number of frames.

    Args:
        args: Arguments of mmseg's ``IoUMetric``.
        kwargs: Keyword arguments of mmseg's ``IoUMetric``.
    """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pixels of each class in each frame.

        Raises:
            ValueError: If a prediction and its label map differ in size.
        """
        for sample in data_samples:
            if self.format_only:
                continue
            sizes = [
                tuple(sample[name]['data'].shape[-2:])
                for name in ('pred_sem_seg', 'gt_sem_seg')
            ]
            if sizes[0] != sizes[1]:
                raise ValueError(
                    f'prediction and label map of {sample.get("img_path")} must have '
                    f'one size, got {sizes[0]} and {sizes[1]}: load the annotations '
                    'after Resize in the test pipeline'
                )
        start = len(self.results)
        super().process(data_batch, data_samples)
        # single precision cannot count above 16.7 million pixels
        self.results[start:] = [
            tuple(area.double() for area in areas) for areas in self.results[start:]
        ]

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the figures over all frames; mmseg prints its table of classes."""
        super().compute_metrics(results)
        if not results:
            return {}
        intersect, union, _, label = (
            torch.stack(areas).sum(dim=0).numpy()
            for areas in zip(*results, strict=True)
        )
        with np.errstate(invalid='ignore', divide='ignore'):
            iou, acc = 100 * intersect / union, 100 * intersect / label
            all_acc = 100 * intersect.sum() / label.sum()
        figures = dict(mIoU=_mean(iou), mAcc=_mean(acc), aAcc=float(all_acc))
        classes = self.dataset_meta['classes']
        figures.update(
            {f'IoU.{c}': float(v) for c, v in zip(classes, iou, strict=True)}
        )
        return figures


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float('nan')
