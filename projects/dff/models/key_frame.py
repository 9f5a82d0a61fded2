"""Key-frame schedulers and the explicit state of a video stream."""

from dataclasses import dataclass, fields
from typing import Any

from mmengine.registry import MODELS
from torch import Tensor

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
        key_feats: Features f_k of each window, as ``seam.head`` gave them.
        key_shape: Image size (H, W) inside the padding of the key frame.
        flow: Flow M_{i->k} of the last propagated frame, (1, 2, h, w) in pixels of
            its own map; None where the last frame was a key frame.
    """

    video_id: int | str | None = None
    frame_id: int | None = None
    key_frame_id: int | None = None
    key_image: Tensor | None = None
    key_feats: Any = None
    key_shape: tuple[int, int] | None = None
    flow: Tensor | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no key frame to propagate from."""
        return self.key_feats is None

    def reset(self) -> None:
        """Forget everything; the next frame is a key frame."""
        for field in fields(self):
            setattr(self, field.name, None)

    def begin(
        self,
        image: Tensor,
        feats: Any,
        *,
        video_id: int | str,
        frame_id: int,
        shape: tuple[int, int],
    ) -> None:
        """Make a frame the key frame; nothing else is remembered.

        Args:
            image: The frame (1, 3, H, W), padded as the model gets it.
            feats: Its features, without gradients.
            video_id: Video of the frame.
            frame_id: Its place in the video.
            shape: Its size (H, W) inside the padding.
        """
        self.reset()
        self.video_id, self.frame_id, self.key_frame_id = video_id, frame_id, frame_id
        self.key_image, self.key_feats = image.detach(), feats
        self.key_shape = tuple(shape)

    def has_key(self, image: Tensor, *, video_id: int | str, frame_id: int) -> bool:
        """Tell whether a frame is the key frame at hand, pixel for pixel."""
        return (
            not self.is_empty
            and (self.video_id, self.key_frame_id) == (video_id, frame_id)
            and self.key_image.shape == image.shape
            and bool((self.key_image == image).all())
        )

    def is_continued_by(
        self, *, video_id: int | str, frame_id: int, image: Tensor, shape: tuple
    ) -> bool:
        """Tell whether a frame follows the last one of this stream.

        Args:
            video_id: Video of the frame.
            frame_id: Its place in the video.
            image: The frame (1, 3, H, W), padded as the model gets it.
            shape: Its size (H, W) inside the padding.

        Returns:
            False for an empty state, another video, a gap, a step back or another
            frame size: nothing may be propagated across these.
        """
        return (
            not self.is_empty
            and self.video_id == video_id
            and frame_id == self.frame_id + 1
            and self.key_image.shape == image.shape
            and self.key_shape == tuple(shape)
        )

    def __deepcopy__(self, memo: dict) -> 'StreamState':
        return StreamState()

    def __reduce__(self) -> tuple:
        return StreamState, ()


def has_place(meta: dict) -> bool:
    """Tell whether the metainfo of a test frame places it in a video.

    Raises:
        ValueError: If it does so by half.
    """
    missing = [name for name in STREAM_KEYS if name not in meta]
    if len(missing) == 1:
        raise ValueError(
            f'a test frame needs {missing[0]}, too, in its metainfo to be placed '
            'in its video; name it in `meta_keys` of the packing transform, or use '
            f'VideoPairDataset; got {sorted(meta)}'
        )
    return not missing


@MODELS.register_module()
class FixedKeyFrameScheduler:
    """Make every l-th frame of a video a key frame (paper Sec. 3).

    Args:
        interval: Key frame duration length l, at least 1. ``interval=1`` runs the
            wrapped image model on every frame.

    Raises:
        TypeError: If ``interval`` is no integer.
        ValueError: If ``interval`` is less than 1.
    """

    def __init__(self, interval: int = 10) -> None:
        if isinstance(interval, bool) or not isinstance(interval, int):
            raise TypeError(
                f'interval must be an integer, got {interval!r} '
                f'({type(interval).__name__})'
            )
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.interval = interval

    def is_key_frame(self, state: StreamState, frame_id: int) -> bool:
        """Tell whether frame ``frame_id``, which continues ``state``, is a key frame.

        Args:
            state: State after the preceding frame.
            frame_id: The frame to decide on.
        """
        return frame_id - state.key_frame_id >= self.interval

    def __repr__(self) -> str:
        return f'{type(self).__name__}(interval={self.interval})'
