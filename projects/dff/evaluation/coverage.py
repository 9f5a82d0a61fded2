"""Check, over all ranks, that a metric got every item of the data set."""

import itertools
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from mmengine.dist import all_gather_object

from .prediction_id import PredictionId, identify_prediction, mark_first_predictions


class CoverageCheck:
    """Compare the predictions that a metric got with the items of the data set.

    An item that a sampler repeats as padding counts once.
    """

    def __init__(self) -> None:
        self._first: dict[tuple, PredictionId] = {}  # by frame and offset, in order
        # predictions that differ from the first one of the same frame and offset
        self._conflicting: list[tuple[tuple, PredictionId]] = []

    def add(self, sample: Mapping[str, Any]) -> None:
        """Note a prediction, of a labelled frame or not.

        Raises:
            ValueError: If the sample does not say which frame it is of.
        """
        offset = sample.get('asked_offset', sample.get('offset'))
        item = identify_prediction(sample)
        index = item.frame, offset
        if self._first.setdefault(index, item) != item:
            self._conflicting.append((index, item))

    def check(self, size: int, metric: str, *, is_order_needed: bool = False) -> None:
        """Compare with the data set, and reset; call it on all ranks.

        Args:
            size: Length of the data set, as mmengine's loops pass it.
            metric: Name of the metric, for the message.
            is_order_needed: Whether each video must be whole and in order.

        Raises:
            ValueError: If fewer or more items came than `size`, or a video is split.
        """
        by_rank = all_gather_object(list(self._first))
        items = [*self._first.items(), *self._conflicting]
        self._first, self._conflicting = {}, []
        count = len(set(itertools.chain.from_iterable(by_rank)))
        if count != size:
            _refuse_conflicts(all_gather_object(items))
            raise ValueError(
                f'{metric} must see each of the {size} items of the data set, got '
                f'{count}'
            )
        if is_order_needed:
            _refuse_split_videos(by_rank, metric)


def _refuse_conflicts(by_rank: list[list[tuple[tuple, PredictionId]]]) -> None:
    """Raise an error if two predictions claim to be of one frame."""
    by_offset: dict[Hashable, list[PredictionId]] = {}
    for (_, offset), item in itertools.chain.from_iterable(by_rank):
        by_offset.setdefault(offset, []).append(item)
    for items in by_offset.values():
        mark_first_predictions(items)


def _refuse_split_videos(by_rank: list[list[tuple]], metric: str) -> None:
    """Raise an error if a run of frames continues another one."""
    runs = [run for part in by_rank for run in _runs(frame for frame, _ in part)]
    lasts = {last for _, last in runs}
    for first, _ in runs:
        previous = (first[0], first[1] - 1) if len(first) == 2 else None
        if previous in lasts:
            raise ValueError(
                f'{metric} needs whole videos in order, but {first[0]!r} was cut '
                f'before frame {first[1]}: use VideoSampler without key_interval'
            )


def _runs(frames: Iterable[tuple]) -> list[tuple[tuple, tuple]]:
    """Return first and last frame (video, frame id) of each run without a gap."""
    runs: list[tuple[tuple, tuple]] = []
    for frame in frames:
        if runs and runs[-1][1] == (frame[0], frame[-1] - 1):
            runs[-1] = runs[-1][0], frame
        else:
            runs.append((frame, frame))
    return runs
