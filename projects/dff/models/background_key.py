"""Key frames whose features are computed beside the running stream."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from .counts import check_count
from .seam.feats import Feats
from .stream_state import StreamState

Encode = Callable[[Tensor], list[Feats]]


@dataclass(frozen=True)
class _Pending:
    """A key frame whose features are being computed."""

    image: Tensor
    frame_id: int
    shape: tuple[int, int]
    feats: Future


class BackgroundKeys:
    """Compute the features of one stream's key frames in a thread.

    A key frame k takes over from the old one at the first frame from k + ``lag`` on:
    until then frames are propagated from the old key frame, and then from k. If N_feat
    is not done by then, the stream waits, so that results do not depend on the speed of
    the machine. The frame k itself is propagated, too.

    Args:
        lag: Number of frames from a key frame to its first use, at least 1.

    Raises:
        TypeError: If ``lag`` is no integer.
        ValueError: If ``lag`` is less than 1.
    """

    def __init__(self, lag: int) -> None:
        self.lag = check_count('lag', lag, 1)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix='dff-key')
        self._pending: _Pending | None = None

    @property
    def is_pending(self) -> bool:
        """Whether there is a key frame that has not taken over yet."""
        return self._pending is not None

    def start(
        self, encode: Encode, image: Tensor, *, frame_id: int, shape: Sequence[int]
    ) -> None:
        """Begin to compute the features of a key frame.

        Args:
            encode: N_feat: from an image (1, 3, H, W) to features, one per window.
            image: The key frame.
            frame_id: Its number in the video.
            shape: Its size (H, W) inside the padding.
        """
        feats = self._worker.submit(_in_context_of_caller(encode, image))
        self._pending = _Pending(image, frame_id, (shape[0], shape[1]), feats)

    def take_over(self, state: StreamState, frame_id: int) -> None:
        """Make the pending key frame that of the stream, if frame ``frame_id`` is due.

        Raises:
            Exception: What was raised in the thread. The key frame is then dropped.
        """
        pending = self._pending
        if pending is None:
            return
        is_due = frame_id >= pending.frame_id + self.lag
        if not is_due and not pending.feats.done():
            return
        try:
            feats = pending.feats.result()
        except BaseException:
            self._pending = None
            raise
        if is_due:
            self._pending = None
            _use_here(feats)
            last = state.frame_id
            state.begin(
                pending.image,
                feats,
                video_id=state.video_id,
                frame_id=pending.frame_id,
                shape=pending.shape,
            )
            state.frame_id = last

    def drop(self) -> None:
        """Forget the pending key frame."""
        if self._pending is not None:
            self._pending.feats.cancel()
        self._pending = None

    def close(self) -> None:
        """End the thread, after the key frame that is being computed."""
        self.drop()
        self._worker.shutdown(wait=True, cancel_futures=True)


def _in_context_of_caller(encode: Encode, image: Tensor) -> Callable[[], list[Feats]]:
    """Return a call of N_feat with this thread's autocast and without gradients."""
    kind = image.device.type
    dtype, enabled = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
    on_gpu = kind == 'cuda'
    started = torch.cuda.current_stream(image.device).record_event() if on_gpu else None

    def run() -> list[Feats]:
        with torch.no_grad(), torch.autocast(kind, dtype=dtype, enabled=enabled):
            if started is None:
                return encode(image)
            # On a GPU the work is queued beside that of the stream, not before it.
            beside = torch.cuda.Stream(image.device)
            beside.wait_event(started)
            image.record_stream(beside)
            with torch.cuda.stream(beside):
                feats = encode(image)
            beside.synchronize()
            return feats

    return run


def _use_here(feats: Sequence[Feats]) -> None:
    """Tell CUDA's allocator that this thread's stream reads features of another one."""
    for part in feats:
        for feat in [*part.maps.values(), *(part.fill or {}).values()]:
            if feat.is_cuda:
                feat.record_stream(torch.cuda.current_stream(feat.device))
