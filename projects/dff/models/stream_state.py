"""The state of a video stream: what Algorithm 1 remembers between two frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .seam.feats import Feats

STREAM_KEYS = ('video_id', 'frame_id')


@dataclass
class StreamState:
    """Hold what Algorithm 1 remembers of a video between two frames.

    The state belongs to a running stream, not to the model: it is in no
    ``state_dict``, and copying or pickling it gives an empty one, so that an EMA
    copy of a model never holds another stream's features.

    Attributes:
        video_id: Video that the stream is in; None before the first frame.
        frame_id: Last frame seen.
        key_frame_id: Key frame k that the features come from.
        key_image: Key frame (1, 3, H, W) as the wrapped model got it.
        key_feats: Features f_k of each window, from ``seam.head``.
        key_shape: Image size (H, W) inside the padding of the key frame.
        flow: Flow M_{i->k} of the last propagated frame, (1, 2, h, w) in pixels of
            its own map; None where the last frame was a key frame.
        keys: Number of key frames since the stream began.
        phase: Frames by which the first interval is shorter, modulo the interval; it
            spreads the key frames of streams that begin together.
        memory: What a scheduler keeps about this stream; it survives key frames and is
            forgotten with the video.
        owner: The model and its weights that computed this; see ``StreamStore``.
    """

    video_id: int | str | None = None
    frame_id: int | None = None
    key_frame_id: int | None = None
    key_image: Tensor | None = None
    key_feats: Sequence[Feats] = ()
    key_shape: tuple[int, int] | None = None
    flow: Tensor | None = None
    keys: int = 0
    phase: int = 0
    memory: dict[str, Any] = field(default_factory=dict)
    owner: object = field(default=None, compare=False, repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether there is no key frame to propagate from."""
        return self.key_image is None

    @property
    def offset(self) -> int:
        """I - k, of the last frame seen; 0 before the first."""
        if self.frame_id is None or self.key_frame_id is None:
            return 0
        return self.frame_id - self.key_frame_id

    def reset(self) -> None:
        """Forget everything but phase and owner; the next frame is a key frame."""
        vars(self).update(vars(StreamState(phase=self.phase, owner=self.owner)))

    def begin(
        self,
        image: Tensor,
        feats: Sequence[Feats],
        *,
        video_id: int | str | None,
        frame_id: int,
        shape: Sequence[int],
    ) -> None:
        """Make a frame the key frame.

        Args:
            image: The frame (1, 3, H, W), padded as the model gets it.
            feats: Its features, one entry per window; stored without gradients.
            video_id: Video of the frame; None for a single image.
            frame_id: Its number in the video.
            shape: Its size (H, W) inside the padding.
        """
        self.flow = None
        self.keys += 1
        self.video_id, self.frame_id, self.key_frame_id = video_id, frame_id, frame_id
        self.key_image = image.detach()
        self.key_feats = [part.detach() for part in feats]
        self.key_shape = (shape[0], shape[1])

    def has_key(self, image: Tensor, *, video_id: int | str, frame_id: int) -> bool:
        """Return whether a frame is the current key frame, pixel for pixel.

        Args:
            image: The frame (1, 3, H, W).
            video_id: Video of the frame.
            frame_id: Its number in the video.
        """
        return (
            self.key_image is not None
            and (self.video_id, self.key_frame_id) == (video_id, frame_id)
            and torch.equal(self.key_image, image)
        )

    def is_continued_by(
        self,
        *,
        video_id: int | str | None,
        frame_id: int,
        image: Tensor,
        shape: Sequence[int],
        max_gap: int = 0,
    ) -> bool:
        """Return whether a frame follows the last one of this stream.

        Args:
            video_id: Video of the frame.
            frame_id: Its number in the video.
            image: The frame (1, 3, H, W), padded as the model gets it.
            shape: Its size (H, W) inside the padding.
            max_gap: How many frames may be missing between the two.

        Returns:
            False for an empty state, another video, a larger gap, a step back or
            another frame size: nothing may be propagated across these.
        """
        return (
            self.key_image is not None
            and self.frame_id is not None
            and self.video_id == video_id
            and 1 <= frame_id - self.frame_id <= 1 + max_gap
            and self.key_image.shape == image.shape
            and self.key_shape == (shape[0], shape[1])
        )

    def __deepcopy__(self, memo: dict) -> 'StreamState':
        return StreamState()

    def __reduce__(self) -> tuple:
        return StreamState, ()


def belongs_to_video(meta: dict) -> bool:
    """Return whether the metainfo of a test frame names its video and its number.

    Raises:
        ValueError: If only one of ``video_id`` and ``frame_id`` is present.
    """
    missing = [name for name in STREAM_KEYS if name not in meta]
    if len(missing) == 1:
        raise ValueError(
            f'a test frame of a video needs {missing[0]}, too, in its metainfo; name '
            'it in `meta_keys` of the packing transform, or use VideoPairDataset; got '
            f'{sorted(meta)}'
        )
    return not missing
