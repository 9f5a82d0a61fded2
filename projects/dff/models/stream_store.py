"""The streams that a model remembers between two calls, by video."""

import weakref
from collections import OrderedDict
from threading import Lock

from .counts import check_count
from .stream_state import StreamState

DEFAULT_MAX_STREAMS = 16


class StreamStore:
    """Hold the states of the last videos, so that frames of several may alternate.

    A store belongs to a running process, not to the model's weights: copying or
    pickling it gives an empty one. Several threads may use it at the same time.

    Args:
        max_streams: How many videos are remembered. The least recently used one is
            forgotten first; its next frame is a key frame.

    Raises:
        TypeError: If ``max_streams`` is no integer.
        ValueError: If ``max_streams`` is less than 1.
    """

    def __init__(self, max_streams: int = DEFAULT_MAX_STREAMS) -> None:
        self.max_streams = check_count('max_streams', max_streams, 1)
        self._states: OrderedDict[int | str, StreamState] = OrderedDict()
        self._latest: weakref.ref[StreamState] | None = None
        self._lock = Lock()
        self._owner = object()

    def __len__(self) -> int:
        """Return how many videos are remembered."""
        return len(self._states)

    @property
    def latest(self) -> StreamState:
        """State of the frame that was predicted last; an empty one before the first."""
        latest = self._latest
        return (latest() if latest is not None else None) or StreamState()

    def find(self, video_id: int | str) -> StreamState:
        """Return the state of a video, which is a new one for a new video."""
        with self._lock:
            state = self._states.get(video_id)
            if state is None:
                state = self._states[video_id] = StreamState()
            self._states.move_to_end(video_id)
            while len(self._states) > self.max_streams:
                self._states.popitem(last=False)
        return state

    def enter(self, state: StreamState | None) -> None:
        """Note that a frame of a stream (None: of no video) is being predicted.

        A state that was used before ``clear``, or with another model, is reset: its
        features are those of other weights.
        """
        with self._lock:
            owner = self._owner
            self._latest = None if state is None else weakref.ref(state)
        if state is not None and state.owner is not owner:
            state.reset()
            state.owner = owner

    def clear(self) -> None:
        """Forget all videos, those of states outside of the store included."""
        with self._lock:
            self._states.clear()
            self._latest = None
            self._owner = object()

    def __deepcopy__(self, memo: dict) -> 'StreamStore':
        return StreamStore(self.max_streams)

    def __reduce__(self) -> tuple:
        return StreamStore, (self.max_streams,)
