"""Key-frame schedulers: which frame of a video is a key frame (paper Sec. 3)."""

import inspect
from typing import Any

from mmengine.registry import MODELS

from .counts import check_count
from .current_frame import CurrentFrame
from .image_model import check_part
from .stream_state import StreamState


def ask(scheduler: Any, frame: CurrentFrame) -> bool:
    """Ask a scheduler whether a frame that continues its stream is a key frame.

    A scheduler has the method ``is_key_frame(state, frame_id)``, or, if it looks at
    more than numbers, ``is_key_frame(state, frame_id, frame)`` with a
    :class:`~.current_frame.CurrentFrame`. One scheduler serves many streams: what it
    has to remember of a stream belongs into ``state.memory``.
    """
    state, frame_id = frame.state, frame.frame_id
    if takes_frame(scheduler):
        return scheduler.is_key_frame(state, frame_id, frame)
    return scheduler.is_key_frame(state, frame_id)


def takes_frame(scheduler: Any) -> bool:
    """Return whether a scheduler's ``is_key_frame`` wants the frame, too.

    Raises:
        TypeError: If it takes neither two nor three arguments.
    """
    signature = inspect.signature(scheduler.is_key_frame)
    positional = [
        p
        for p in signature.parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    third = positional[2] if len(positional) > 2 else None
    # an option of the scheduler's own, with a default, is not meant for the frame
    wants = third is not None and (
        third.name == 'frame' or third.default is third.empty
    )
    try:
        signature.bind(*[None] * (2 + wants))
    except TypeError:
        raise TypeError(
            'is_key_frame must take (state, frame_id) or (state, frame_id, frame), '
            f'but that of {type(scheduler).__name__} is is_key_frame{signature}'
        ) from None
    return wants


def build_scheduler(scheduler: dict | Any | None, *, interval: int) -> Any:
    """Build a scheduler, and check that one that is built can be asked.

    Args:
        scheduler: Config or object; None is every ``interval``-th frame.
        interval: Key frame duration length l.

    Raises:
        TypeError: If it has no ``is_key_frame`` with the arguments of :func:`ask`.
    """
    if scheduler is None:
        scheduler = FixedKeyFrameScheduler(interval=interval)
    if isinstance(scheduler, dict):
        scheduler = MODELS.build(scheduler)
    check_part('key_frame_scheduler', scheduler, 'is_key_frame')
    takes_frame(scheduler)  # or raises
    return scheduler


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
        self.interval = check_count('interval', interval, 1)

    def is_key_frame(self, state: StreamState, frame_id: int) -> bool:
        """Return whether frame ``frame_id``, which continues ``state``, is a key frame.

        Args:
            state: State after the preceding frame.
            frame_id: The frame to decide on.
        """
        if state.key_frame_id is None:
            return True
        interval = self.interval
        if state.keys == 1:  # the first interval of a stream spreads the keys of many
            interval -= state.phase % interval
        return frame_id - state.key_frame_id >= interval

    def __repr__(self) -> str:
        return f'{type(self).__name__}(interval={self.interval})'
