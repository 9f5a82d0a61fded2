"""Run a video or image model on the frames of a source."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import CheckpointLoader
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from dff.checkpoint import weights_of
from dff.models.counts import check_count
from dff.models.wrap import is_video_config, read_config, wrap_image_config
from dff.video import Frame, open_frames

from .batch import step_streams
from .frame_pipeline import config_metainfo, frame_pipeline
from .stream import DEFAULT_LAG, Stream


class VideoInferencer:
    """Predict the frames of videos, one at a time.

    A video of any length needs the memory of one frame. Every call starts a new video
    with a key frame; several may be iterated in turn, or from several threads. See
    `open_stream` to pass the frames yourself. Cuts start a new key frame, too, unless
    the config has `cut_detector=None`. Image models of MMDetection and
    MMSegmentation work, too: each frame is then a key frame.

    >>> inferencer = VideoInferencer('dff::vid/dff_rfcn_r101_vid.py', 'dff.pth')
    >>> for sample in inferencer('street.mp4'):
    ...     print(sample.frame_id, sample.is_key_frame, sample.pred_instances)

    Args:
        config: Path, `package::path` or Config of the model and its test pipeline.
        checkpoint: Weights of this model, or of the image model it wraps. None leaves
            the weights random.
        device: Device of the model, such as 'cpu' or 'cuda:0'.
        interval: Key frame duration l; None is that of the config.
        cfg_options: Changes to the config, with dotted keys as on the command line.

    Raises:
        FileNotFoundError: If the config or the checkpoint does not exist.
        ModuleNotFoundError: If the package of the config is not installed.
        TypeError, ValueError: If an option is invalid, or the config has no suitable
            test pipeline, or the checkpoint is that of another model.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        *,
        device: str = 'cpu',
        interval: int | None = None,
        cfg_options: dict | None = None,
    ) -> None:
        self.cfg = read_config(config)
        if cfg_options:
            self.cfg.merge_from_dict(cfg_options)
        if interval is not None:
            _set_interval(self.cfg, interval)
        if is_video_config(self.cfg.model):
            self.cfg.model.setdefault('cut_detector', dict(type='CutDetector'))
        init_default_scope(self.cfg.get('default_scope', 'mmdet'))
        dataset = self.cfg.test_dataloader.dataset
        self.pipeline = Compose(frame_pipeline(dataset))
        self.model: nn.Module = revert_sync_batchnorm(MODELS.build(self.cfg.model))
        meta = {} if checkpoint is None else _load_weights(self.model, str(checkpoint))
        if checkpoint is None:
            print_log(
                'no checkpoint: the weights are random', 'current', logging.WARNING
            )
        self.dataset_meta = meta or config_metainfo(dataset)
        self.model.to(device).eval()
        self._videos = count()  # next() is atomic, for threads that open streams

    def __call__(self, source: Any, **options: Any) -> Iterator[BaseDataElement]:
        """Predict every frame of `source`.

        Args:
            source: See `open_frames`.
            options: Options of `open_frames`, such as `on_damage`.

        Returns:
            An iterator of data samples with predictions and the metainfo `video_id`,
            `video_name`, `frame_id`, `time` (seconds or None), `is_damaged`,
            `is_key_frame`, `offset` (i - k) and `inference_seconds` (time of test
            pipeline and model, without reading).

        Raises:
            FileNotFoundError, ValueError, TypeError: See `open_frames`.
        """
        return (sample for _, sample in self.with_images(source, **options))

    def with_images(
        self, source: Any, **options: Any
    ) -> Iterator[tuple[np.ndarray, BaseDataElement]]:
        """Like a call, but yield (frame, data sample), frame BGR uint8 (H, W, 3)."""
        frames = open_frames(source, **options)
        return self._run(frames, self._open(Path(frames.name).stem, any_size=True))

    def open_stream(
        self,
        name: str | None = None,
        *,
        any_size: bool = False,
        key_in_background: bool = False,
        lag: int = DEFAULT_LAG,
    ) -> Stream:
        """Begin a video whose frames the caller passes one at a time.

        Any number of streams may be open at a time, on one thread or several.

        >>> with inferencer.open_stream() as stream:
        ...     sample = stream(image)

        Args:
            name: Name of the video; None is `stream` and a number.
            any_size: Whether a frame of another size starts a new key frame. Otherwise
                it is an error unless `stream.reset()` is called before.
            key_in_background: Whether features of key frames but the first are computed
                in a thread beside the stream, so that no frame takes much longer than
                the others. They are propagated from the old key frame meanwhile.
            lag: Frames from a key frame to its first use in the background; less than
                the interval l.

        Raises:
            TypeError, ValueError: If `lag` is no count below the interval, or the
                background is asked for with an image model.
        """
        lags = dict(lag=lag) if key_in_background else {}
        return self._open(name, any_size=any_size, **lags)

    def step(
        self,
        frames: Mapping[Stream, np.ndarray],
        *,
        frame_ids: Mapping[Stream, int] | None = None,
        spread_keys: bool = True,
    ) -> dict[Stream, BaseDataElement]:
        """Predict the next frame of several streams as one batch.

        Results equal those of the streams called one by one within 1e-4 (boxes 1e-2
        pixels) if both have the same key frames.

        Args:
            frames: Image (H, W, 3), BGR uint8, of each stream.
            frame_ids: Numbers of frames in their videos, see `Stream.__call__`.
            spread_keys: Whether key frames are spread over time: the n-th stream that
                begins in a step gets its second key frame n mod l frames early, with a
                fixed interval l.

        Returns:
            The data sample of each stream; `inference_seconds` is its share.

        Raises:
            TypeError, ValueError: As calls of the streams; or if they are not of one
                inferencer.
        """
        return step_streams(frames, frame_ids=frame_ids, spread_keys=spread_keys)

    def _open(self, name: str | None, **options: Any) -> Stream:
        video_id = next(self._videos)
        name = f'stream {video_id}' if name is None else name
        return Stream(
            self.model, self.pipeline, video_id=video_id, name=name, **options
        )

    @property
    def flow(self) -> Tensor | None:
        """Flow (1, 2, h, w) of the last frame of all videos, in pixels of its own map.

        One cell is `flow_stride` pixels of the input of the model. The flow of a key
        frame is None.
        """
        stream = getattr(self.model, 'stream', None)
        return None if stream is None else stream.flow

    @property
    def flow_stride(self) -> int | None:
        """Stride of `flow`; None for a model without a flow network."""
        propagation = getattr(self.model, 'propagation', None)
        return None if propagation is None else propagation.flow_estimator.flow_stride

    @staticmethod
    def _run(
        frames: Iterable[Frame], stream: Stream
    ) -> Iterator[tuple[np.ndarray, BaseDataElement]]:
        with stream:
            for frame in frames:
                if frame.starts_anew:
                    stream.reset()
                sample = stream(frame.image, frame_id=frame.index, path=frame.path)
                sample.set_metainfo(dict(time=frame.time, is_damaged=frame.is_damaged))
                yield frame.image, sample


def _warn(message: str) -> None:
    print_log(message, 'current', logging.WARNING)


def _set_interval(cfg: Config, interval: int) -> None:
    check_count('interval', interval, 1)
    wrap_image_config(cfg)
    scheduler = dict(type='FixedKeyFrameScheduler', interval=interval)
    cfg.model.key_frame_scheduler = ConfigDict(scheduler)


def _load_weights(model: nn.Module, path: str) -> dict:
    """Load weights; return the checkpoint's `dataset_meta` with lower-case keys.

    Raises:
        ValueError: If the checkpoint has no parameter of the model.
    """
    checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    state = weights_of(checkpoint, path)
    try:
        missing = model.load_state_dict(state, strict=False).missing_keys
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ValueError(f'{path} is of another model: {error}') from error
    names = [name for name, _ in model.named_parameters()]
    lacking = sorted(set(missing) & set(names))
    if len(lacking) == len(names):
        raise ValueError(
            f'{path} is of another model: it has {sorted(state)[:3]} …, expected '
            f'{names[:3]} …'
        )
    if lacking:
        _warn(
            f'{path} lacks {len(lacking)} of {len(names)} parameters, which stay '
            f'random: {lacking[:5]} …'
        )
    meta = checkpoint.get('meta', {}).get('dataset_meta') or {}
    if not isinstance(meta, dict):
        raise ValueError(f'dataset_meta of {path} must be a dict, got {meta!r:.80}')
    return {name.lower(): value for name, value in meta.items()}
