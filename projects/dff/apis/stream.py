"""A video whose frames the caller passes one at a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from threading import Lock
from types import TracebackType
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from dff.models.algorithm import Step
from dff.models.background_key import BackgroundKeys
from dff.models.counts import check_count
from dff.models.stream_state import StreamState
from dff.models.video_model import DFFVideoModel

DEFAULT_LAG = 5  # frames; half of the default interval


class Stream:
    """One video on a model, from `VideoInferencer.open_stream`.

    Any number of streams may be open on one model, and each may be used from a thread
    of its own. What a stream returns does not depend on the others.

    >>> with inferencer.open_stream('door') as stream:
    ...     sample = stream(image)

    Args:
        model: The model, in eval mode.
        pipeline: Test pipeline that starts from an array.
        video_id: Number of the video.
        name: Name of the video, in the samples and in messages.
        any_size: Whether a frame of another size starts a new key frame. Otherwise it
            is an error unless `reset` is called before.
        lag: Frames from a key frame to its first use, where its features are computed
            in the background; None: they are computed at once.

    Raises:
        TypeError, ValueError: If `lag` is no count below the interval, or given for an
            image model.
    """

    def __init__(
        self,
        model: nn.Module,
        pipeline: Compose,
        *,
        video_id: int,
        name: str,
        any_size: bool = False,
        lag: int | None = None,
    ) -> None:
        self.name = name
        self.video_id = video_id
        self.state = StreamState()
        self._model = model
        # transforms may keep things between two images
        self._pipeline = deepcopy(pipeline)
        self._any_size = any_size
        self._background = None if lag is None else _background(model, lag)
        self._size: tuple[int, int] | None = None
        self._last = -1
        self._is_closed = False
        self._lock = Lock()

    def __call__(
        self,
        image: np.ndarray,
        *,
        frame_id: int | None = None,
        path: str | None = None,
    ) -> BaseDataElement:
        """Predict the next frame.

        Args:
            image: (H, W, 3) BGR uint8.
            frame_id: Number of the frame in the video; None is the next one. Frames
                that the caller dropped are a gap in these numbers.
            path: File of the image, if there is one.

        Returns:
            The data sample with predictions, see `VideoInferencer.__call__`.

        Raises:
            TypeError: If the image is not an array, or `frame_id` no integer.
            ValueError: If the stream is closed or in another call, the image has
                another type, shape or size, or `frame_id` is not above the last one.
            Exception: What was raised for a key frame in the background. The stream
                can go on; the key frame is tried again.
        """
        with self._turn():
            start = now(self._model)
            item, sample = self._prepare(image, frame_id=frame_id, path=path)
            with torch.no_grad():
                result = self._predict(item, sample)
            self._finish(result, seconds=now(self._model) - start)
        return result

    @property
    def is_closed(self) -> bool:
        """Whether the stream was closed."""
        return self._is_closed

    @property
    def flow(self) -> Tensor | None:
        """Flow (1, 2, h, w) of the last frame, see `VideoInferencer.flow`."""
        return self.state.flow

    def reset(self) -> None:
        """Forget the frames so far: the next one, of any size, is a key frame.

        Raises:
            ValueError: If the stream is closed or in another call.
        """
        with self._turn():
            self._forget()

    def close(self) -> None:
        """End the stream and free its memory, after the call that is running.

        Nothing runs in the background afterwards.
        """
        with self._lock:
            self._is_closed = True
            self._forget()
            if self._background is not None:
                self._background.close()

    def __enter__(self) -> 'Stream':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = 'closed' if self._is_closed else f'{self._last + 1} frames'
        return f'<Stream {self.name!r}, {state}>'

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the stream for one call."""
        if not self._lock.acquire(blocking=False):
            raise ValueError(
                f'stream {self.name!r} is in another call: a stream is one video, '
                'frame after frame; open a stream for each thread'
            )
        try:
            if self._is_closed:
                raise ValueError(f'stream {self.name!r} is closed: open another one')
            yield
        finally:
            self._lock.release()

    def _forget(self) -> None:
        self.state.reset()
        self._size = None
        if self._background is not None:
            self._background.drop()

    def _prepare(
        self, image: np.ndarray, *, frame_id: int | None = None, path: str | None = None
    ) -> tuple[Any, BaseDataElement]:
        """Check a frame and run pipeline and preprocessor.

        Returns:
            Input of the model and the data sample; for an image model the input is
            the batch of `test_step`.
        """
        frame_id = self._next(frame_id)
        check_image(image, f'frame {frame_id} of {self.name}')
        size = image.shape[:2]
        if self._size not in (None, size):
            if not self._any_size:
                raise ValueError(
                    f'the frames of stream {self.name!r} must have the size (H, W) '
                    f'{self._size}, got {size} for frame {frame_id}; call reset() '
                    'before a frame of another size'
                )
            self._forget()
        metainfo: dict[str, Any] = dict(
            video_id=self.video_id, video_name=self.name, frame_id=frame_id
        )
        # a copy: transforms may change the image, but it belongs to the caller
        inputs = dict(img=image.copy(), img_id=frame_id, is_labelled=False, **metainfo)
        data = self._pipeline(inputs)
        if data is None:
            raise ValueError(
                f'the test pipeline rejected frame {frame_id} of {self.name}'
            )
        metainfo |= dict(is_labelled=False, img_path=path)
        data['data_samples'].set_metainfo(metainfo)
        self._size = size
        batch = pseudo_collate([data])
        if not isinstance(self._model, DFFVideoModel):
            return batch, data['data_samples']
        batch = self._model.data_preprocessor(batch, False)
        return batch['inputs'][0], batch['data_samples'][0]

    def _predict(self, item: Any, sample: BaseDataElement) -> BaseDataElement:
        if isinstance(self._model, DFFVideoModel):
            step = Step(item, sample, self.state, self._background)
            return self._model.predict_steps([step])[0]
        return self._model.test_step(item)[0]

    def _finish(self, sample: BaseDataElement, *, seconds: float) -> None:
        self._last = sample.metainfo['frame_id']
        if 'is_key_frame' not in sample.metainfo:
            sample.set_metainfo(dict(is_key_frame=True, offset=0))
        sample.set_metainfo(dict(inference_seconds=seconds))

    def _next(self, frame_id: int | None) -> int:
        """Return the number of the next frame."""
        if frame_id is None:
            return self._last + 1
        if isinstance(frame_id, bool) or not isinstance(frame_id, (int, np.integer)):
            raise TypeError(f'frame_id must be an integer, got {frame_id!r}')
        if frame_id <= self._last:
            raise ValueError(
                f'frame_id of stream {self.name!r} must be above {self._last}, that of '
                f'the last frame, got {frame_id}'
            )
        return int(frame_id)


def _background(model: nn.Module, lag: int) -> BackgroundKeys:
    """Build what computes key frames in the background.

    Raises:
        TypeError, ValueError: See `Stream`.
    """
    if not isinstance(model, DFFVideoModel):
        raise ValueError(
            'key_in_background needs a video model, in which frames are propagated, '
            f'got {type(model).__name__}'
        )
    check_count('lag', lag, 1)
    interval = getattr(model.key_frame_scheduler, 'interval', None)
    if interval is not None and lag >= interval:
        raise ValueError(
            f'lag must be less than the key frame interval {interval}, got {lag}'
        )
    return BackgroundKeys(lag)


def check_image(image: np.ndarray, name: str) -> None:
    """Check that a frame is an image.

    Raises:
        TypeError: If it is not an array.
        ValueError: If it has another type or shape.
    """
    wanted = f'{name} must be a BGR uint8 array (H, W, 3)'
    if not isinstance(image, np.ndarray):
        raise TypeError(f'{wanted}, got {type(image).__name__}')
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f'{wanted}, got {image.dtype} {image.shape}')
    if not image.size:
        raise ValueError(f'{name} is empty: {image.shape}')


def now(model: nn.Module) -> float:
    """Return the time in seconds, after the device has finished its work."""
    if next(model.parameters()).is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()
