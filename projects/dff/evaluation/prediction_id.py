"""Which frame a prediction belongs to, and whether it may be counted."""

import logging
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.logging import print_log


@dataclass(frozen=True)
class FrameRecord:
    """Identity of one prediction: the frame, how it was made, what it was read from.

    `frame` is (video_id, frame_id), or (img_id,) for still images without a video.
    """

    frame: tuple[Hashable, ...]
    offset: int | None
    source: tuple[Hashable, ...]
    img_id: Hashable = None

    @property
    def sort_key(self) -> tuple[tuple[bool, Hashable], ...]:
        """Order frames alike on any number of ranks; ids may be int or str."""
        return tuple((isinstance(part, str), part) for part in self.frame)


def is_labelled(sample: Mapping[str, Any]) -> bool:
    """Tell whether the frame is annotated (image data sets do not say: they are)."""
    return bool(sample.get('is_labelled', True))


def frame_record(sample: Mapping[str, Any]) -> FrameRecord:
    """Read the identity of a prediction from its metainfo.

    Raises:
        ValueError: Neither `video_id` and `frame_id` nor, for still images, `img_id`.
    """
    video_id, frame_id = sample.get('video_id'), sample.get('frame_id')
    img_id = sample.get('img_id')
    if video_id is not None and frame_id is not None:
        frame: tuple[Hashable, ...] = (video_id, int(frame_id))
    elif video_id is None and frame_id is None and img_id is not None:
        frame = (img_id,)
    else:
        raise ValueError(
            f'a prediction needs video_id and frame_id, got {video_id!r} and '
            f'{frame_id!r}: name both in meta_keys of the packing transform'
        )
    offset = sample.get('offset')
    return FrameRecord(
        frame=frame,
        offset=None if offset is None else int(offset),
        source=(sample.get('video_name'), sample.get('img_path')),
        img_id=img_id,
    )


def first_occurrences(records: Iterable[FrameRecord]) -> list[bool]:
    """Mark the first result of each frame; what samplers repeat as padding is False.

    Raises:
        ValueError: One frame was predicted at several offsets, two sources claim the
            same frame, or two frames share an `img_id`.
    """
    seen: dict[tuple, FrameRecord] = {}
    by_img_id: dict[Hashable, FrameRecord] = {}
    is_first = []
    for record in records:
        known = seen.setdefault(record.frame, record)
        is_first.append(known is record)
        if known != record:
            _refuse(known, record)
        if record.img_id is not None:
            other = by_img_id.setdefault(record.img_id, record)
            if other.frame != record.frame:
                raise ValueError(
                    f'img_id must be unique, got {record.img_id!r} for frames '
                    f'{other.frame} and {record.frame}'
                )
    num_repeats = is_first.count(False)
    if num_repeats:
        print_log(
            f'{num_repeats} of {len(is_first)} results repeat a frame (sampler '
            'padding) and are not counted twice',
            logger='current',
            level=logging.WARNING,
        )
    return is_first


def _refuse(known: FrameRecord, record: FrameRecord) -> None:
    if known.offset != record.offset:
        raise ValueError(
            f'frame {record.frame} was predicted at offsets {known.offset} and '
            f'{record.offset}; use PerOffsetMetric for several offsets a frame, and a '
            'sampler that keeps videos whole for streams'
        )
    raise ValueError(
        f'frame {record.frame} must come once, got it from {known.source} '
        f'(img_id {known.img_id!r}) and {record.source} (img_id {record.img_id!r}); '
        'video_id must differ between videos'
    )
