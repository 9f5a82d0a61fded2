"""How well a cut detector works on videos, joined and as they are.

No image model runs: the detector, the flow and Algorithm 1 are those of a stream.
Images are BGR uint8 (H, W, 3), all of one size.
"""

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from statistics import median
from typing import Any

import numpy as np
import torch
from mmengine.model import ImgDataPreprocessor
from mmengine.structures import BaseDataElement
from torch import Tensor

from dff.models import CutDetector, FeaturePropagation, FixedKeyFrameScheduler
from dff.models.algorithm import Algorithm1, Step
from dff.models.current_frame import CurrentFrame
from dff.models.seam.feats import Feats
from dff.models.stream_state import StreamState

Images = Sequence[np.ndarray]
STRIDE = 16  # of the flow: that of the paper's networks
EFFECT = 10  # frames that a dissolve lasts, and each half of a fade


class NoModel:
    """A seam without a model: one empty map of features, no result."""

    def windows(self, image: Tensor) -> list[tuple[int, int, int, int]]:
        """Return the window that is the whole image (1, 3, H, W)."""
        return [(0, 0, *image.shape[-2:])]

    def head(self, image: Tensor, **options: Any) -> Feats:
        """Return a map of zeros (1, 1, h, w) at stride ``STRIDE``."""
        size = [-(-side // STRIDE) for side in image.shape[-2:]]
        return Feats(maps={0: torch.zeros(1, 1, *size)})

    def run(
        self, method: str, image: Tensor, feats: object, samples: list, **options: bool
    ) -> list:
        """Return the data samples as they are."""
        return samples


@dataclass
class CutRates:
    """What a detector found.

    Attributes:
        uncut_frames: Frames of uncut videos, counted once for each phase.
        false_keys: (video, frame) of each key frame among them that no schedule put.
        joins: Joins of two videos by the phase at which the second begins.
        found: Those of them whose first frame became a key frame.
        effects: For each effect, the frame of the first key frame in it, 0 the first;
            None where there was none.
        milliseconds: Of the detector beside the flow, per frame.
    """

    uncut_frames: int = 0
    false_keys: list[tuple[str, int]] = field(default_factory=list)
    joins: dict[int, int] = field(default_factory=dict)
    found: dict[int, int] = field(default_factory=dict)
    effects: dict[str, list[int | None]] = field(default_factory=dict)
    milliseconds: float = float('nan')


def find_keys(
    images: Iterable[np.ndarray], *, detector: CutDetector, interval: int
) -> Iterator[tuple[bool, int]]:
    """Run a detector on a stream with a key frame every ``interval``-th frame.

    Yields:
        For each frame, whether it is a key frame, and how far it is from the key frame
        before it, which is ``interval`` for those of the schedule and 0 at the start.
    """
    algorithm = _algorithm(detector, interval)
    state, last_key = StreamState(), 0
    for index, image in enumerate(images):
        sample = BaseDataElement(metainfo=_meta(image, index))
        with torch.no_grad():
            (result,) = algorithm.predict([Step(_to_tensor(image), sample, state)])
        yield result.is_key_frame, index - last_key
        if result.is_key_frame:
            last_key = index


def find_cuts(
    images: Iterable[np.ndarray], *, detector: CutDetector, interval: int
) -> list[int]:
    """Return the frames that a detector made key frames before the schedule did."""
    keys = find_keys(images, detector=detector, interval=interval)
    return [
        i
        for i, (is_key, offset) in enumerate(keys)
        if _is_early(is_key, offset, interval)
    ]


def measure_cuts(
    videos: Mapping[str, Images],
    *,
    detector: CutDetector,
    interval: int,
    repeats: int = 3,
    seed: int = 0,
) -> CutRates:
    """Run a detector on uncut videos and on joins of every two, at every phase.

    Args:
        videos: Frames by name.
        detector: The detector.
        interval: Key frame duration length l; the phases are 1 to l - 1, as a cut at
            phase 0 falls on a key frame anyway.
        repeats: Joins of each two videos at each phase, at random frames.
        seed: Of the random frames.

    Raises:
        ValueError: If there are less than two videos, a video is too short, or the
            interval is less than 2.
    """
    needed = max(interval, EFFECT) + 1
    short = {
        name: len(images) for name, images in videos.items() if len(images) < needed
    }
    if len(videos) < 2 or short:
        raise ValueError(
            f'joins need at least two videos of {needed} frames, got {len(videos)}, '
            f'of these too short: {short}'
        )
    if interval < 2:
        raise ValueError(f'interval must be at least 2, got {interval}')
    rates, chance = CutRates(), random.Random(seed)
    for name, images in videos.items():
        for phase in range(interval):
            rates.uncut_frames += len(images) - phase
            cuts = find_cuts(images[phase:], detector=detector, interval=interval)
            rates.false_keys += [(name, phase + cut) for cut in cuts]
    for one, other in permutations(videos, 2):
        for phase in range(1, interval):
            for _ in range(repeats):
                begin = _piece(videos[one], phase, chance)
                end = _piece(videos[other], 1, chance)
                cuts = find_cuts([*begin, *end], detector=detector, interval=interval)
                rates.joins[phase] = rates.joins.get(phase, 0) + 1
                rates.found[phase] = rates.found.get(phase, 0) + (phase in cuts)
        pieces = [_piece(videos[name], EFFECT + 1, chance) for name in (one, other)]
        for name, (before, effect) in _effects(*pieces).items():
            cuts = find_cuts(
                [*before, *effect], detector=detector, interval=len(before + effect) + 1
            )
            inside = [cut - len(before) for cut in cuts if cut >= len(before)]
            rates.effects.setdefault(name, []).append(inside[0] if inside else None)
    rates.milliseconds = time_detector(next(iter(videos.values()))[:50], detector)
    return rates


def time_detector(images: Images, detector: CutDetector) -> float:
    """Return the median milliseconds of a detector per frame, without the flow."""
    algorithm, state, spent = _algorithm(detector, len(images) + 1), StreamState(), []
    for index, image in enumerate(images):
        tensor, meta = _to_tensor(image), _meta(image, index)
        if index:
            frame = CurrentFrame(
                tensor,
                meta,
                state,
                seam=algorithm.seam,
                propagation=algorithm.propagation,
            )
            start = time.perf_counter()
            detector.is_cut(frame)
            seconds = time.perf_counter() - start
            assert frame.motion  # estimated outside of the time
            start = time.perf_counter()
            detector.is_unexplained(frame)
            spent.append(seconds + time.perf_counter() - start)
            state.frame_id = index
        else:
            sample = BaseDataElement(metainfo=meta)
            algorithm.predict([Step(tensor, sample, state)])
    return 1000 * median(spent)


def _is_early(is_key: bool, offset: int, interval: int) -> bool:
    return is_key and 0 < offset < interval


def _piece(images: Images, count: int, chance: random.Random) -> list[np.ndarray]:
    start = chance.randrange(len(images) - count + 1)
    return list(images[start : start + count])


def _effects(one: Images, other: Images) -> dict[str, tuple[list, list]]:
    """Return, by name, the frames before an effect and those of it."""
    ramp = [(step + 1) / EFFECT for step in range(EFFECT)]
    mixed = [_mix(one[step], other[step], share) for step, share in enumerate(ramp)] + [
        other[EFFECT]
    ]
    black = np.zeros_like(one[0])
    fade_out = [_mix(one[step], black, share) for step, share in enumerate(ramp)]
    fade_in = [_mix(black, other[step], share) for step, share in enumerate(ramp)]
    bright = _mix(one[1], np.full_like(black, 255), 0.4)
    return {
        f'dissolve over {EFFECT} frames': ([one[0]], mixed),
        f'fade to black and back, {2 * EFFECT} frames': ([one[0]], fade_out + fade_in),
        'flash of one frame, 40 % white': ([one[0]], [bright, one[2]]),
        'flash of one frame, white': ([one[0]], [np.full_like(black, 255), one[2]]),
    }


def _mix(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    mixed = one.astype(np.float32) * (1 - share) + other.astype(np.float32) * share
    return mixed.round().astype(np.uint8)


def _meta(image: np.ndarray, index: int) -> dict:
    return dict(video_id=0, frame_id=index, img_shape=image.shape[:2])


def _to_tensor(image: np.ndarray) -> Tensor:
    """Return a BGR image as RGB (1, 3, H, W), 0..255."""
    rgb = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))
    return torch.from_numpy(rgb).float()[None]


def _algorithm(detector: CutDetector, interval: int) -> Algorithm1:
    propagation = FeaturePropagation(dict(type='ClassicalFlow', strides=(STRIDE,)))
    propagation.bind_preprocessor(ImgDataPreprocessor(bgr_to_rgb=True))
    return Algorithm1(
        NoModel(),  # type: ignore[arg-type]
        propagation,
        FixedKeyFrameScheduler(interval),
        max_gap=0,
        cut_detector=detector,
    )
