"""Temporal consistency of the labels of a video, without ground truth."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from .coverage import CoverageCheck

# Forward and backward flow agree where |f + b|^2 < A (|f|^2 + |b|^2) + B (Sundaram et
# al., ECCV 2010); elsewhere the pixel is hidden in one of the frames.
AGREEMENT_SLOPE = 0.01
AGREEMENT_OFFSET = 0.5  # pixels squared


@METRICS.register_module()
class TemporalConsistency(BaseMetric):
    """mIoU between the labels of a frame and the warped labels of the previous one.

    The previous labels are warped by OpenCV's DIS flow, independent of the model.
    Pixels that come from outside the previous frame or fail the forward-backward
    check are left out, and so are frames without a previous one. One confusion matrix
    is over all pairs of neighbouring frames, labelled or not; whole videos must be on
    one rank, in order (``VideoSampler``). Figures in percent: ``consistency/mIoU``,
    and ``consistency/pixels``, the share of compared pixels.

    Args:
        collect_device: See mmengine's BaseMetric.
        prefix: Prefix of the figures' names.
        collect_dir: See mmengine's BaseMetric.
    """

    results: list
    default_prefix = 'consistency'

    def __init__(
        self,
        *,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Initialise without a previous frame."""
        super().__init__(collect_device, prefix, collect_dir)
        self._last: tuple | None = None  # (video, frame, gray image, labels)
        self.coverage = CoverageCheck()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compare each frame with the one before it.

        Raises:
            FileNotFoundError: If the image of a frame cannot be read.
            ValueError: If a frame has no ids, or a prediction and its image differ
                in size.
        """
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            frame = video, number = sample.get('video_id'), sample.get('frame_id')
            if video is None or number is None:
                raise ValueError(
                    'TemporalConsistency needs video_id and frame_id of each frame, '
                    f'got {frame} for {sample.get("img_path")}'
                )
            self.coverage.add(sample)
            gray = _read_gray(sample['img_path'])
            labels = sample['pred_sem_seg']['data'].squeeze().cpu().numpy()
            if labels.shape != gray.shape:
                raise ValueError(
                    f'the prediction of {sample["img_path"]} must have the size '
                    f'{gray.shape} of the image, got {labels.shape}'
                )
            last, self._last = self._last, (*frame, gray, labels)
            if last is None or last[:2] != (video, number - 1):
                continue
            if last[2].shape == gray.shape:
                counts = _count_label_pairs(gray, labels, last[2], last[3], num_classes)
                self.results = [_add_up([*self.results, counts])]

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the figures over pairs of frames.

        Raises:
            ValueError: If there is no pair.
        """
        if not results:
            raise ValueError('TemporalConsistency needs two frames in a row, got none')
        matrix = sum(matrix for matrix, _ in results)
        intersect = np.diag(matrix)
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - intersect
        is_present = union > 0
        ious = intersect[is_present] / union[is_present]
        mean = 100 * float(ious.mean()) if len(ious) else float('nan')
        pixels = sum(size for _, size in results)
        return dict(mIoU=mean, pixels=100 * float(matrix.sum() / pixels))

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the figures over the pairs of all ranks.

        Raises:
            ValueError: If fewer or more than ``size`` frames came, or a video is
                split between ranks.
        """
        self.coverage.check(size, type(self).__name__, is_order_needed=True)
        own = [_add_up(self.results)] if self.results else []
        by_rank = all_gather_object(own)
        self.results.clear()
        self._last = None
        figures = self.compute_metrics([part for parts in by_rank for part in parts])
        return {f'{self.prefix}/{name}': value for name, value in figures.items()}


def _add_up(results: list[tuple[np.ndarray, int]]) -> tuple[np.ndarray, int]:
    matrices, sizes = zip(*results, strict=True)
    return np.sum(matrices, axis=0), sum(sizes)


def _read_gray(path: str) -> np.ndarray:
    image = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise FileNotFoundError(f'frame {path} does not exist or is no image')
    return image


def _count_label_pairs(
    gray: np.ndarray,
    labels: np.ndarray,
    before_gray: np.ndarray,
    before: np.ndarray,
    num_classes: int,
) -> tuple[np.ndarray, int]:
    """Count (previous label, label) over the pixels visible in both frames.

    Returns:
        Confusion matrix (K, K) int64, and the number of all pixels.
    """
    where, is_seen = locate_in_previous(gray, before_gray)
    x, y = np.round(where).astype(int)[is_seen].T
    pairs = before[y, x] * num_classes + labels[is_seen]
    counts = np.bincount(pairs.astype(int), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes), labels.size


def locate_in_previous(
    cur: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where each pixel of a frame was in the previous frame.

    Args:
        cur: Grey image (H, W), uint8.
        before: Grey image (H, W) of the previous frame, uint8.

    Returns:
        Positions (H, W, 2), x and y in pixels of ``before``, and a mask (H, W) of the
        pixels that are visible in ``before``.
    """
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back, forth = dis.calc(cur, before, None), dis.calc(before, cur, None)
    height, width = cur.shape
    rows, columns = np.mgrid[:height, :width]
    where = back + np.stack([columns, rows], axis=-1).astype(np.float32)
    is_inside = (
        (where >= -0.5).all(axis=-1)
        & (where[..., 0] < width - 0.5)
        & (where[..., 1] < height - 0.5)
    )
    forth_there = cv2.remap(forth, where, None, cv2.INTER_LINEAR)
    error = ((back + forth_there) ** 2).sum(axis=-1)
    size = (back**2).sum(axis=-1) + (forth_there**2).sum(axis=-1)
    agrees = error < AGREEMENT_SLOPE * size + AGREEMENT_OFFSET
    where[..., 0] = where[..., 0].clip(0, width - 1)
    where[..., 1] = where[..., 1].clip(0, height - 1)
    return where, is_inside & agrees
