"""Which frames a metric has seen, over all ranks."""

import itertools
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from mmengine.dist import all_gather_object, is_main_process

from .prediction_id import FrameRecord, first_occurrences, frame_record

RESULTS_A_ROUND = 1000  # that each rank hands over at a time


class SeenFrames:
    """Compare the frames that came with those that the data set has.

    What a sampler repeats as padding counts once.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple, FrameRecord] = {}  # by frame and offset, in order
        self._others: list[tuple[tuple, FrameRecord]] = []  # that are there already

    def add(self, sample: Mapping[str, Any]) -> None:
        """Note a prediction, of a labelled frame or not.

        Raises:
            ValueError: It does not say which frame it is of.
        """
        offset = sample.get('asked_offset', sample.get('offset'))
        record = frame_record(sample)
        key = record.frame, offset
        if self._seen.setdefault(key, record) != record:
            self._others.append((key, record))

    def check(self, size: int, metric: str, *, is_order_needed: bool = False) -> None:
        """Compare with the data set, and start over; call it on all ranks.

        Args:
            size: Length of the data set, as mmengine's loops give it.
            metric: Name of the metric, for the message.
            is_order_needed: Whether each video must be in one piece.

        Raises:
            ValueError: Fewer or more frames came, or a video came in pieces.
        """
        by_rank = all_gather_object(list(self._seen))
        records = [*self._seen.items(), *self._others]
        self._seen, self._others = {}, []
        count = len(set(itertools.chain.from_iterable(by_rank)))
        if count != size:
            _refuse_conflicts(all_gather_object(records))
            raise ValueError(
                f'{metric} must see each of the {size} items of the data set, got '
                f'{count}'
            )
        if not is_order_needed:
            return
        runs = [run for seen in by_rank for run in _runs(frame for frame, _ in seen)]
        lasts = {last for _, last in runs}
        for first, _ in runs:
            before = (first[0], first[1] - 1) if len(first) == 2 else None
            if before in lasts:
                raise ValueError(
                    f'{metric} needs whole videos in order, but {first[0]!r} was cut '
                    f'before frame {first[1]}: use VideoSampler without key_interval'
                )


def _refuse_conflicts(by_rank: list[list[tuple[tuple, FrameRecord]]]) -> None:
    """Name two items that claim to be one frame, if that is what is wrong."""
    by_offset: dict[Hashable, list[FrameRecord]] = {}
    for (_, offset), record in itertools.chain.from_iterable(by_rank):
        by_offset.setdefault(offset, []).append(record)
    for records in by_offset.values():
        first_occurrences(records)


def _runs(frames: Iterable[tuple]) -> list[tuple[tuple, tuple]]:
    """Give the first and last of frames (video, frame id) that follow each other."""
    runs: list[tuple[tuple, tuple]] = []
    for frame in frames:
        if runs and runs[-1][1] == (frame[0], frame[-1] - 1):
            runs[-1] = runs[-1][0], frame
        else:
            runs.append((frame, frame))
    return runs


def move_to_main(results: list) -> list:
    """Hand the results of all ranks to the main one; `results` is emptied meanwhile.

    No rank holds more than all results and one round of them.

    Args:
        results: Of this rank.

    Returns:
        All of them on the main rank, nothing on others.
    """
    rounds = max(-(-n // RESULTS_A_ROUND) for n in all_gather_object(len(results)))
    merged: list = []
    results.reverse()  # so that the first are cut off at the end, for nothing
    for _ in range(rounds):
        part = results[-RESULTS_A_ROUND:][::-1]
        del results[-RESULTS_A_ROUND:]
        parts = all_gather_object(part)
        if is_main_process():
            merged += itertools.chain.from_iterable(parts)
    return merged
