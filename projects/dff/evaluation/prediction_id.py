"""Identity of a prediction: which frame it is of, and whether it counts."""

import logging
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.logging import print_log


@dataclass(frozen=True)
class PredictionId:
    """Identity of one prediction.

    Attributes:
        frame: (video_id, frame_id), or (img_id,) for a still image without a video.
        offset: i - k of the prediction; None for image models.
        source: (video_name, img_path), for messages.
        img_id: Id of the image in its data set, if any.
    """

    frame: tuple[Any, ...]
    offset: int | None
    source: tuple[Any, ...]
    img_id: Hashable = None

    @property
    def sort_key(self) -> tuple[tuple[bool, Hashable], ...]:
        """Key that orders frames alike on any number of ranks; ids are int or str."""
        return tuple((isinstance(part, str), part) for part in self.frame)


def is_labelled(sample: Mapping[str, Any]) -> bool:
    """Return whether the frame is annotated; by default it is, as in image data."""
    return bool(sample.get('is_labelled', True))


def identify_prediction(sample: Mapping[str, Any]) -> PredictionId:
    """Build the identity of a prediction from its metainfo.

    Raises:
        ValueError: If the sample has neither `video_id` and `frame_id` nor, for a
            still image, `img_id`.
    """
    video_id, frame_id = sample.get('video_id'), sample.get('frame_id')
    img_id = sample.get('img_id')
    if video_id is not None and frame_id is not None:
        frame: tuple[Any, ...] = (video_id, int(frame_id))
    elif video_id is None and frame_id is None and img_id is not None:
        frame = (img_id,)
    else:
        raise ValueError(
            f'a prediction needs video_id and frame_id, got {video_id!r} and '
            f'{frame_id!r}: name both in meta_keys of the packing transform'
        )
    offset = sample.get('offset')
    return PredictionId(
        frame=frame,
        offset=None if offset is None else int(offset),
        source=(sample.get('video_name'), sample.get('img_path')),
        img_id=img_id,
    )


def mark_first_predictions(ids: Iterable[PredictionId]) -> list[bool]:
    """Mark the first prediction of each frame, and warn of repeats.

    Returns:
        One bool per id: True for the first prediction of a frame, False for the
        repeats that a sampler adds as padding.

    Raises:
        ValueError: If a frame was predicted at several offsets, two sources claim the
            same frame, or two frames share an `img_id`.
    """
    by_frame: dict[tuple, PredictionId] = {}
    by_img_id: dict[Hashable, PredictionId] = {}
    is_first = []
    for item in ids:
        first = by_frame.setdefault(item.frame, item)
        is_first.append(first is item)
        if first != item:
            _refuse_conflict(first, item)
        if item.img_id is not None:
            other = by_img_id.setdefault(item.img_id, item)
            if other.frame != item.frame:
                raise ValueError(
                    f'img_id must be unique, got {item.img_id!r} for frames '
                    f'{other.frame} and {item.frame}'
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


def _refuse_conflict(first: PredictionId, other: PredictionId) -> None:
    """Raise an error about two predictions of one frame."""
    if first.offset != other.offset:
        raise ValueError(
            f'frame {other.frame} was predicted at offsets {first.offset} and '
            f'{other.offset}; use PerOffsetMetric for several offsets per frame, and '
            'a sampler that keeps videos whole for streams'
        )
    raise ValueError(
        f'frame {other.frame} must come once, got it from {first.source} '
        f'(img_id {first.img_id!r}) and {other.source} (img_id {other.img_id!r}); '
        'video_id must differ between videos'
    )
