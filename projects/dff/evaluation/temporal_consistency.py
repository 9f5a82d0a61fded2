"""How steady the labels of a video are, whatever the right ones may be."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from .coverage import SeenFrames

# Forward and backward flow agree where |f + b|^2 < A (|f|^2 + |b|^2) + B (Sundaram et
# al., ECCV 2010); elsewhere something is hidden in one of the frames.
AGREEMENT_SLOPE = 0.01
AGREEMENT_OFFSET = 0.5  # pixels squared


@METRICS.register_module()
class TemporalConsistency(BaseMetric):
    """mIoU between the labels of a frame and those of the frame before, moved along.

    The frame before is warped by OpenCV's DIS flow, which no model here has to use.
    Left out are pixels that come from outside of it or fail the forward-backward
    check, and what follows no frame. One confusion matrix over all pairs of
    neighbouring frames, labelled or not; whole videos must be on one rank, in order
    (``VideoSampler``). Figures are percent: ``consistency/mIoU``, and
    ``consistency/pixels``, the share of pixels compared.

    Args:
        collect_device: See mmengine's BaseMetric.
        prefix: Put before the names.
        collect_dir: See mmengine's BaseMetric.
    """

    default_prefix = 'consistency'

    def __init__(
        self,
        *,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        """Start without a video."""
        super().__init__(collect_device, prefix, collect_dir)
        self._last: tuple | None = None  # (video, frame, gray image, labels)
        self.seen = SeenFrames()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compare each frame with the one before it.

        Raises:
            FileNotFoundError: The image of a frame cannot be read.
            ValueError: A prediction has another size than its image.
        """
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            place = sample.get('video_id'), sample.get('frame_id')
            if None in place:
                raise ValueError(
                    'TemporalConsistency needs video_id and frame_id of each frame, '
                    f'got {place} for {sample.get("img_path")}'
                )
            self.seen.add(sample)
            gray = _read_gray(sample['img_path'])
            labels = sample['pred_sem_seg']['data'].squeeze().cpu().numpy()
            if labels.shape != gray.shape:
                raise ValueError(
                    f'the prediction of {sample["img_path"]} must have the size '
                    f'{gray.shape} of the image, got {labels.shape}'
                )
            last, self._last = self._last, (*place, gray, labels)
            if last is None or last[:2] != (place[0], place[1] - 1):
                continue
            if last[2].shape == gray.shape:
                found = _compare(gray, labels, last[2], last[3], num_classes)
                self.results = [_add_up([*self.results, found])]

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Give the figures of pairs of frames, each counted on its own."""
        if not results:
            raise ValueError('TemporalConsistency needs two frames in a row, got none')
        matrix = sum(matrix for matrix, _ in results)
        intersect = np.diag(matrix)
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - intersect
        there = union > 0
        ious = intersect[there] / union[there]
        mean = 100 * float(ious.mean()) if len(ious) else float('nan')
        pixels = sum(size for _, size in results)
        return dict(mIoU=mean, pixels=100 * float(matrix.sum() / pixels))

    def evaluate(self, size: int) -> dict[str, float]:
        """Return the figures over all ranks' pairs of ``size`` frames.

        Raises:
            ValueError: Fewer or more frames came, or a video came in pieces.
        """
        self.seen.check(size, type(self).__name__, is_order_needed=True)
        own = [_add_up(self.results)] if self.results else []
        by_rank = all_gather_object(own)
        self.results.clear()
        self._last = None
        figures = self.compute_metrics([part for parts in by_rank for part in parts])
        return {f'{self.prefix}/{name}': value for name, value in figures.items()}


def _add_up(results: list[tuple[np.ndarray, int]]) -> tuple[np.ndarray, int]:
    return sum(matrix for matrix, _ in results), sum(size for _, size in results)


def _read_gray(path: str) -> np.ndarray:
    image = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise FileNotFoundError(f'frame {path} is not there or is no image')
    return image


def _compare(
    gray: np.ndarray,
    labels: np.ndarray,
    before_gray: np.ndarray,
    before: np.ndarray,
    num_classes: int,
) -> tuple[np.ndarray, int]:
    """Count (label before, label now) over the pixels that both frames show.

    Returns:
        Confusion matrix (K, K) int64, and the number of all pixels.
    """
    where, is_seen = flow_back(gray, before_gray)
    x, y = np.round(where).astype(int)[is_seen].T
    pairs = before[y, x] * num_classes + labels[is_seen]
    counts = np.bincount(pairs.astype(int), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes), labels.size


def flow_back(cur: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find where each pixel of a frame was in the frame before.

    Args:
        cur: Gray (H, W) uint8; ``before`` likewise.
        before: See ``cur``.

    Returns:
        Positions (H, W, 2), x and y in pixels of ``before``, and a mask (H, W) of the
        pixels that it shows.
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
    there = cv2.remap(forth, where, None, cv2.INTER_LINEAR)
    error = ((back + there) ** 2).sum(axis=-1)
    size = (back**2).sum(axis=-1) + (there**2).sum(axis=-1)
    agrees = error < AGREEMENT_SLOPE * size + AGREEMENT_OFFSET
    where[..., 0] = where[..., 0].clip(0, width - 1)
    where[..., 1] = where[..., 1].clip(0, height - 1)
    return where, is_inside & agrees
