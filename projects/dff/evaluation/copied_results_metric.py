"""Accuracy of copying the key frame's results: the simplest video model."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from mmengine.registry import METRICS

from .per_offset_metric import PerOffsetMetric

PREDICTIONS = ('pred_instances', 'pred_sem_seg')


@METRICS.register_module()
class CopiedResultsMetric(PerOffsetMetric):
    """Score frame i with the predictions of frame k = i - o, for every offset o.

    The model is an image model that runs on every frame of a stream; offset 0 is its
    own figure. Boxes and label maps are copied unchanged. As in the per-offset
    protocol (Sec. 5.2), a frame without a predecessor at the largest offset is left
    out of every offset, so all offsets are over the same frames.

    Args:
        args: Arguments of ``PerOffsetMetric``.
        kwargs: Keyword arguments of ``PerOffsetMetric``.
    """

    is_order_needed = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Create one copy of the metric per offset."""
        super().__init__(*args, **kwargs)
        self._video: Any = None
        self._length = max(self.copies) + 1
        self._past: deque = deque(maxlen=self._length)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Score each frame with the predictions of the frames before it.

        Frames must come in order, with whole videos on one rank (``VideoSampler``);
        a gap clears the stored predictions.

        Raises:
            ValueError: If a sample holds no prediction, or does not say which frame
                it is of.
        """
        for sample in data_samples:
            self.coverage.add(sample)
            video, frame = sample.get('video_id'), sample.get('frame_id')
            if frame is None:
                raise ValueError(
                    f'frame_id must be an int, got None for {sample.get("img_path")}'
                )
            is_next = self._past and self._past[-1][0] == frame - 1
            if video != self._video or not is_next:
                self._past.clear()
            self._video = video
            predicted = {n: sample[n] for n in PREDICTIONS if n in sample}
            if not predicted:
                raise ValueError(
                    f'a prediction must hold one of {PREDICTIONS}, got '
                    f'{sorted(sample)} for {sample.get("img_path")}'
                )
            self._past.append((frame, predicted))
            if len(self._past) < self._length:
                continue
            for offset in self.copies:
                _, copied = self._past[-1 - offset]
                self._score({**sample, **copied, 'offset': offset})
