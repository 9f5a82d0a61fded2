"""Key-frame schedulers: which frame of a video is a key frame (paper Sec. 3)."""

from mmengine.registry import MODELS

from .stream_state import StreamState


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
        """Return whether frame ``frame_id``, which continues ``state``, is a key frame.

        Args:
            state: State after the preceding frame.
            frame_id: The frame to decide on.
        """
        key_frame_id = state.key_frame_id
        return key_frame_id is None or frame_id - key_frame_id >= self.interval

    def __repr__(self) -> str:
        return f'{type(self).__name__}(interval={self.interval})'
