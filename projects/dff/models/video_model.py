"""The base of the video detector and the video segmentor."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import MODELS, Registry
from torch import Tensor, nn

from dff.checkpoint import adapt_frame_state_dict

from .algorithm import Algorithm1, Step, turns
from .counts import check_count
from .cut_detector import build_cut_detector
from .image_model import build_image_model, check_part, freeze
from .key_frame import build_scheduler
from .preprocessor import VideoDataPreprocessor
from .propagation import FeaturePropagation
from .seam.feature_seam import FeatureSeam
from .seam.find_split import find_split
from .seam.fit_flow import fit_flow, needs_fit
from .stream_state import StreamState, belongs_to_video
from .stream_store import DEFAULT_MAX_STREAMS, StreamStore

DEFAULT_PROPAGATION = dict(
    type='FeaturePropagation', flow_estimator=dict(type='ClassicalFlow')
)
DEFAULT_MAX_GAP = 3  # frames


class DFFVideoModel(BaseModel):
    """Wrap an image model for Deep Feature Flow (paper Sec. 3, Fig. 2b).

    Training takes frame pairs; prediction takes frames in stream order (Algorithm
    1), or pairs. The stream of each video is found by its ``video_id``, so frames of
    several videos may alternate. See ``docs/design.md`` for the layout of batches.

    Args:
        model: Image model, or its config.
        propagation: Config or module of :class:`FeaturePropagation`; default is
            classical flow (DIS), which needs no training.
        registry: Where the image model is built.
        key_frame_scheduler: Config or object that decides on key frames; default is
            every ``default_interval``-th.
        cut_detector: Config or object that makes further frames key frames, such as
            :class:`CutDetector`; None is none. Pairs are not asked about.
        frozen_modules: Patterns (``fnmatch``) of module or parameter names that are
            not trained: no gradients, kept in eval mode. For example ``['detector']``
            (fix N) or ``['propagation.flow_estimator']`` (fix F).
        split: Where N_feat ends, see :func:`find_split`. The flow network then gets
            its strides and scale channels from there. None is ``'auto'`` where a flow
            without weights names no strides, and the end of ``extract_feat`` elsewhere.
        max_gap: How many frames of a video may be missing between two; the motion
            bridges them. After a larger gap there is a new key frame.
        max_streams: How many videos are remembered, see :class:`StreamStore`.
        data_preprocessor: Preprocessor for an image model whose config has none; this
            is how mmengine's Runner passes one from a config's top level.
        init_cfg: As in mmengine.

    Raises:
        TypeError: If ``split`` is neither a number nor a name, or ``max_gap`` or
            ``max_streams`` no integer.
        ValueError: If a frozen pattern matches nothing, the model cannot be split
            there, or ``max_gap`` or ``max_streams`` is too small.
    """

    wrapped_name = ''
    default_interval = 1
    _has_warned = False  # of frames without a video, once a model

    def __init__(
        self,
        model: dict | nn.Module,
        propagation: dict | nn.Module | None = None,
        *,
        registry: Registry,
        key_frame_scheduler: dict | Any = None,
        cut_detector: dict | Any = None,
        frozen_modules: Sequence[str] = (),
        split: int | str | None = None,
        max_gap: int = DEFAULT_MAX_GAP,
        max_streams: int = DEFAULT_MAX_STREAMS,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if isinstance(model, dict):
            model = build_image_model(
                model, data_preprocessor, registry=registry, name=self.wrapped_name
            )
        if not isinstance(getattr(model, 'data_preprocessor', None), nn.Module):
            raise TypeError(
                f'the {self.wrapped_name} must have a data_preprocessor of its own, '
                f'{type(model).__name__} has none'
            )
        super().__init__(
            data_preprocessor=VideoDataPreprocessor(model.data_preprocessor),
            init_cfg=init_cfg,
        )
        setattr(self, self.wrapped_name, model)
        if propagation is None:
            propagation = deepcopy(DEFAULT_PROPAGATION)
        if split is None and needs_fit(propagation):
            split = 'auto'
        self.split, self.split_point = split, find_split(model, split)
        if split is not None:
            propagation = fit_flow(propagation, self.seam, split=split)
        built = (
            MODELS.build(propagation) if isinstance(propagation, dict) else propagation
        )
        check_part('propagation', built, 'bind_preprocessor')
        self.propagation: FeaturePropagation = built
        self.propagation.bind_preprocessor(model.data_preprocessor)
        self.key_frame_scheduler = build_scheduler(
            key_frame_scheduler, interval=self.default_interval
        )
        self.cut_detector = build_cut_detector(cut_detector)
        self.max_gap = check_count('max_gap', max_gap, 0)
        self.streams = StreamStore(max_streams)
        self._frozen_names = freeze(self, frozen_modules)
        self.frozen_modules = tuple(frozen_modules)
        self.train(self.training)
        self._register_load_state_dict_pre_hook(self._before_load)

    @property
    def image_model(self) -> nn.Module:
        """The wrapped model."""
        return getattr(self, self.wrapped_name)

    @property
    def seam(self) -> FeatureSeam:
        """Where N_feat ends and N_task begins."""
        return FeatureSeam(self.image_model, split_point=self.split_point)

    @property
    def stream(self) -> StreamState:
        """State of the frame that was predicted last, of whatever video."""
        return self.streams.latest

    def reset_stream(self) -> None:
        """Forget all videos; the next frame of each is a key frame."""
        self.streams.clear()

    def train(self, mode: bool = True) -> 'DFFVideoModel':
        """Set the mode; frozen parts stay in eval, and all videos are forgotten."""
        super().train(mode)
        for name in self._frozen_names:
            self.get_submodule(name).train(False)
        self.reset_stream()
        return self

    def _before_load(self, state_dict: dict, prefix: str, *args: Any) -> None:
        self.reset_stream()
        if prefix:
            return
        adapted, report = adapt_frame_state_dict(
            state_dict, self, prefix=f'{self.wrapped_name}.'
        )
        if report:
            print_log(report, logger='current')
            state_dict.clear()
            state_dict.update(adapted)

    def forward(
        self,
        inputs: Any,
        data_samples: list | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run the model on a pre-processed batch.

        Args:
            inputs: From ``VideoDataPreprocessor``; in mode ``'tensor'``
                images (N, 3, H, W).
            data_samples: One per current frame.
            mode: ``'loss'``, ``'predict'`` or ``'tensor'`` (the wrapped model's raw
                output on images, without propagation).

        Raises:
            ValueError: If the mode is none of these.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples or [])
        if mode == 'predict':
            return self.predict(inputs, data_samples or [])
        if mode == 'tensor':
            return self.image_model(inputs, data_samples, mode='tensor')
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")

    def loss(self, inputs: dict[str, Tensor], data_samples: list) -> dict:
        """Compute the wrapped model's losses on propagated features (Fig. 2b).

        Args:
            inputs: ``cur`` and ``key`` (N, 3, H, W).
            data_samples: Labels of ``cur``, with ``is_same`` in their metainfo.

        Raises:
            ValueError: If a sample has no ``is_same``.
        """
        cur, key = inputs['cur'], inputs['key']
        metas = [sample.metainfo for sample in data_samples]
        missing = [m.get('img_path') for m in metas if 'is_same' not in m]
        if missing:
            raise ValueError(
                'training needs `is_same` in the metainfo of each pair, which '
                f'VideoPairDataset sets; missing for {missing[:3]}'
            )
        shapes = [m['img_shape'] for m in metas]
        feats, _ = self.propagation(
            self.seam.head(key, img_shapes=shapes),
            cur,
            key,
            is_same=[m['is_same'] for m in metas],
            img_shapes=shapes,
        )
        return self.seam.run('loss', cur, feats, data_samples)

    def predict(
        self, inputs: list, data_samples: list, *, batched: bool = False
    ) -> list:
        """Predict frames in the order of the inputs (Algorithm 1).

        Args:
            inputs: One entry per frame: image (1, 3, H, W), or ``dict(cur, key)`` to
                propagate from that key frame.
            data_samples: One per frame, with ``video_id`` and ``frame_id``. A frame
                without both is a single image: a key frame that is not remembered.
            batched: Whether frames of different videos run as one batch. Results then
                equal those of single frames within 1e-4 (boxes 1e-2 pixels); otherwise
                they are equal bit for bit.

        Returns:
            Data samples with predictions, ``is_key_frame`` and ``offset``.

        Raises:
            ValueError: If only one of ``video_id`` and ``frame_id`` is present, or a
                pair has no ``offset``.
        """
        steps = [
            Step(item, sample, self._state_of(sample))
            for item, sample in zip(inputs, data_samples, strict=True)
        ]
        return self.predict_steps(steps, batched=batched)

    def predict_steps(self, steps: Sequence[Step], *, batched: bool = True) -> list:
        """Predict frames of streams whose states the caller holds; see ``predict``."""
        results: list[Any] = []
        for turn in turns(steps) if batched else [[step] for step in steps]:
            for step in turn:
                is_in_a_video = self._is_in_a_video(step.meta)
                self.streams.enter(step.state if is_in_a_video else None)
            results += self._algorithm.predict(turn)
        return results

    def predict_frame(
        self, item: Tensor | dict[str, Tensor], sample: Any, state: StreamState
    ) -> Any:
        """Predict one frame of a stream whose state the caller holds.

        Several threads may call this at the same time, each with a state of its own.

        Args:
            item: As one entry of ``inputs`` in :meth:`predict`, whose errors it raises.
            sample: Its data sample, which is returned with the predictions.
            state: State of its stream, which advances by this frame. Use it with this
                model only; a change of the weights or the mode resets it.
        """
        return self.predict_steps([Step(item, sample, state)])[0]

    @property
    def _algorithm(self) -> Algorithm1:
        return Algorithm1(
            self.seam,
            self.propagation,
            self.key_frame_scheduler,
            self.max_gap,
            self.cut_detector,
        )

    def _state_of(self, sample: Any) -> StreamState:
        """Return the remembered state of a frame's video; an empty one for an image."""
        video_id = sample.metainfo.get('video_id')
        return StreamState() if video_id is None else self.streams.find(video_id)

    def _is_in_a_video(self, meta: dict) -> bool:
        is_in_a_video = belongs_to_video(meta)
        if not is_in_a_video and not self._has_warned:
            self._has_warned = True
            print_log(
                'frames without video_id and frame_id in their metainfo are single '
                'images: each is a key frame and nothing is propagated. For videos '
                'use VideoPairDataset, or name both in `meta_keys` of the packing '
                'transform',
                logger='current',
                level=logging.WARNING,
            )
        return is_in_a_video
