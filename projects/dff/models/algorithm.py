"""Algorithm 1 of the paper: key frames, propagation and N_task along a video.

Nothing here holds the state of a video, so that any number of streams and threads may
use one model. Frames of several streams may run as one batch; a batch of one frame does
what the frame alone would do, bit for bit.

Shapes: N frames, H, W image.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from .background_key import BackgroundKeys
from .current_frame import CurrentFrame, estimate_together, propagate_together
from .key_frame import ask
from .propagation import FeaturePropagation
from .seam.feats import Feats, join, join_feats
from .seam.feature_seam import FeatureSeam
from .seam.windows import cut, shape_inside
from .stream_state import StreamState

Item = Tensor | dict[str, Tensor]


@dataclass
class Step:
    """One frame to be predicted.

    Attributes:
        item: Image (1, 3, H, W), or ``dict(cur, key)`` of a pair.
        sample: Its data sample; the prediction goes there.
        state: State of its stream, a new one for a single image.
        background: Where new key frames are computed; None: at once.
        feats: Features of the frame, one entry per window.
    """

    item: Item
    sample: Any
    state: StreamState
    background: BackgroundKeys | None = None
    feats: Sequence[Feats] = field(default=(), init=False)

    @property
    def image(self) -> Tensor:
        """The frame (1, 3, H, W)."""
        return self.item['cur'] if isinstance(self.item, dict) else self.item

    @property
    def meta(self) -> dict:
        """Metainfo of the data sample."""
        return self.sample.metainfo


@dataclass(frozen=True)
class Algorithm1:
    """Predict frames, each with the state of its stream (paper Sec. 3, Algorithm 1).

    Args:
        seam: Where N_feat of the model ends.
        propagation: F, S and W.
        scheduler: Decides on key frames, see :func:`~.key_frame.ask`.
        max_gap: How many frames may be missing between two of one stream.
        cut_detector: Makes further frames key frames, see :class:`CutDetector`; None
            makes none.
    """

    seam: FeatureSeam
    propagation: FeaturePropagation
    scheduler: Any
    max_gap: int
    cut_detector: Any = None

    def predict(self, steps: Sequence[Step]) -> list:
        """Predict frames of different streams as one batch; advance their streams.

        One N_feat runs for the key frames of one size, one F, W and N_task for the
        other frames of one size.

        Returns:
            The data samples with predictions, ``is_key_frame`` and ``offset``.
        """
        frames = self._advance(steps)
        moving = [n for n, step in enumerate(steps) if step.state.offset]
        for group in _groups(moving, lambda n: steps[n].image.shape):
            carried = propagate_together([frames[n] for n in group])
            for n, feats in zip(group, carried, strict=True):
                steps[n].feats, steps[n].state.flow = feats, frames[n].joined_flow
        results: list[Any] = [None] * len(steps)
        for group in _groups(range(len(steps)), lambda n: _form(steps[n])):
            found = self._run([steps[n] for n in group])
            for n, result in zip(group, found, strict=True):
                results[n] = result
        return results

    def _run(self, steps: Sequence[Step]) -> list:
        """Run N_task on frames of one form."""
        images = join([step.image for step in steps])  # (N, 3, H, W)
        windows = zip(*(step.feats for step in steps), strict=True)
        feats = [join_feats(parts) for parts in windows]
        samples = [step.sample for step in steps]
        is_propagated = steps[0].state.offset > 0
        results = self.seam.run(
            'predict', images, feats, samples, is_propagated=is_propagated
        )
        for step, result in zip(steps, results, strict=True):
            offset = step.state.offset
            result.set_metainfo(dict(is_key_frame=offset == 0, offset=offset))
        return results

    def encode(self, images: Tensor, *, shapes: Sequence[Sequence[int]]) -> list[Feats]:
        """Run N_feat on each window of images (N, 3, H, W).

        Args:
            images: As the model gets them.
            shapes: Size (H, W) of each inside the padding.
        """
        return [
            self.seam.head(
                cut(images, window),
                img_shapes=[shape_inside(shape, window) for shape in shapes],
            )
            for window in self.seam.windows(images)
        ]

    def _advance(self, steps: Sequence[Step]) -> list[CurrentFrame]:
        """Bring streams to their frames; where there are new key frames, run N_feat."""
        frames = [
            CurrentFrame(
                step.image,
                step.meta,
                step.state,
                seam=self.seam,
                propagation=self.propagation,
            )
            for step in steps
        ]
        keys = [self._find_new_key(*pair) for pair in zip(steps, frames, strict=True)]
        self._add_unexplained(keys, steps, frames)
        found = [(n, *key) for n, key in enumerate(keys) if key is not None]
        for group in _groups(found, lambda new: new[1].shape):
            images = join([image for _, image, _ in group])  # (N, 3, H, W)
            shapes = [steps[n].meta['img_shape'] for n, *_ in group]
            windows = [feats.split() for feats in self.encode(images, shapes=shapes)]
            parts = zip(*windows, strict=True)
            for (n, image, key_id), feats in zip(group, parts, strict=True):
                steps[n].state.begin(
                    image,
                    feats,
                    video_id=steps[n].meta.get('video_id'),
                    frame_id=key_id,
                    shape=steps[n].meta['img_shape'],
                )
        for step, frame in zip(steps, frames, strict=True):
            step.state.frame_id, step.state.flow = frame.frame_id, None
            step.feats = step.state.key_feats
        return frames

    def _find_new_key(
        self, step: Step, frame: CurrentFrame
    ) -> tuple[Tensor, int] | None:
        """Return the frame that becomes the key frame now, None to keep the key.

        Where the frame does not continue its stream, everything is forgotten.

        Returns:
            The frame (1, 3, H, W) and its number in the video.
        """
        state, meta = step.state, step.meta
        if isinstance(step.item, dict):
            return _key_of_pair(step.item['key'], meta, state)
        is_continued = state.is_continued_by(
            video_id=meta.get('video_id'),
            frame_id=frame.frame_id,
            image=frame.image,
            shape=meta['img_shape'],
            max_gap=self.max_gap,
        )
        background = step.background
        if is_continued and background is not None:
            background.take_over(state, frame.frame_id)
        if not is_continued:
            state.reset()
        elif self.cut_detector is None or not self.cut_detector.is_cut(frame):
            return self._ask_scheduler(frame, background)
        if background is not None:
            background.drop()
        return frame.image, frame.frame_id

    def _ask_scheduler(
        self, frame: CurrentFrame, background: BackgroundKeys | None
    ) -> tuple[Tensor, int] | None:
        """Return the frame if it becomes the key frame now, by the scheduler."""
        if background is None:
            is_key = ask(self.scheduler, frame)
            return (frame.image, frame.frame_id) if is_key else None
        if not background.is_pending and ask(self.scheduler, frame):
            shape = frame.meta['img_shape']
            background.start(
                partial(self.encode, shapes=[shape]),
                frame.image,
                frame_id=frame.frame_id,
                shape=shape,
            )
        return None

    def _add_unexplained(
        self,
        keys: list[tuple[Tensor, int] | None],
        steps: Sequence[Step],
        frames: Sequence[CurrentFrame],
    ) -> None:
        """Add key frames that the old one does not explain, whose flow that needs."""
        if self.cut_detector is None:
            return
        moving = [n for n, key in enumerate(keys) if key is None]
        moving = [n for n in moving if not isinstance(steps[n].item, dict)]
        for group in _groups(moving, lambda n: steps[n].image.shape):
            estimate_together([frames[n] for n in group])
        for n in moving:
            if self.cut_detector.is_unexplained(frames[n]):
                keys[n] = frames[n].image, frames[n].frame_id
                background = steps[n].background
                if background is not None:
                    background.drop()


def turns(steps: Sequence[Step]) -> list[list[Step]]:
    """Return the frames in batches, in order, with no two of one stream in any."""
    batches: list[list[Step]] = []
    for step in steps:
        if not batches or any(step.state is other.state for other in batches[-1]):
            batches.append([])
        batches[-1].append(step)
    return batches


def _key_of_pair(
    key: Tensor, meta: dict, state: StreamState
) -> tuple[Tensor, int] | None:
    """Return the key frame of a pair and its number, None if the state has it."""
    if 'offset' not in meta:
        raise ValueError(
            'a test pair needs `offset` in its metainfo, which '
            f'VideoPairDataset sets; got {sorted(meta)}'
        )
    key_id = meta['frame_id'] - meta['offset']
    if state.has_key(key, video_id=meta['video_id'], frame_id=key_id):
        return None
    state.reset()
    return key, key_id


def _form(step: Step) -> Hashable:
    """Return what frames have in common that N_task may see as one batch."""
    shapes = (step.meta.get(name) for name in ('img_shape', 'ori_shape'))
    shapes = (shape and tuple(shape) for shape in shapes)
    return (step.image.shape, step.state.offset > 0, *shapes)


def _groups(things: Iterable, key: Callable[[Any], Hashable]) -> list[list]:
    """Return the things in groups of equal keys, in their order."""
    groups: dict[Hashable, list] = defaultdict(list)
    for thing in things:
        groups[key(thing)].append(thing)
    return list(groups.values())
