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

from .image_model import build_image_model, check_part, freeze
from .preprocessor import VideoDataPreprocessor
from .propagation import FeaturePropagation
from .seam.feats import Feats
from .seam.feature_seam import FeatureSeam
from .seam.find_split import find_split
from .seam.fit_flow import fit_flow, needs_fit
from .seam.windows import cut, join_windows, shape_inside
from .stream_state import StreamState, belongs_to_video

DEFAULT_PROPAGATION = dict(
    type='FeaturePropagation', flow_estimator=dict(type='ClassicalFlow')
)


class DFFVideoModel(BaseModel):
    """Wrap an image model for Deep Feature Flow (paper Sec. 3, Fig. 2b).

    Training takes frame pairs; prediction takes frames in stream order (Algorithm
    1), or pairs. See ``docs/design.md`` for the batch layout and the stream state.

    Args:
        model: Image model, or its config.
        propagation: Config or module of :class:`FeaturePropagation`; default is
            classical flow (DIS), which needs no training.
        registry: Where the image model is built.
        key_frame_scheduler: Config or object that decides on key frames; default is
            every ``default_interval``-th.
        frozen_modules: Patterns (``fnmatch``) of module or parameter names that are
            not trained: no gradients, kept in eval mode. For example ``['detector']``
            (fix N) or ``['propagation.flow_estimator']`` (fix F).
        split: Where N_feat ends, see :func:`find_split`. The flow network then gets
            its strides and scale channels from there. None is ``'auto'`` where a flow
            without weights names no strides, and the end of ``extract_feat`` elsewhere.
        data_preprocessor: Preprocessor for an image model whose config has none; this
            is how mmengine's Runner passes one from a config's top level.
        init_cfg: As in mmengine.

    Raises:
        TypeError: If ``split`` is neither a number nor a name.
        ValueError: If a frozen pattern matches nothing, or the model cannot be split
            there.
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
        frozen_modules: Sequence[str] = (),
        split: int | str | None = None,
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
        if key_frame_scheduler is None:
            key_frame_scheduler = dict(
                type='FixedKeyFrameScheduler', interval=self.default_interval
            )
        if isinstance(key_frame_scheduler, dict):
            key_frame_scheduler = MODELS.build(key_frame_scheduler)
        check_part('key_frame_scheduler', key_frame_scheduler, 'is_key_frame')
        self.key_frame_scheduler = key_frame_scheduler
        self.stream = StreamState()
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

    def reset_stream(self) -> None:
        """Forget the video; the next frame is a key frame."""
        self.stream.reset()

    def train(self, mode: bool = True) -> 'DFFVideoModel':
        """Set the mode; frozen parts stay in eval, and the stream is forgotten."""
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
        feats, _ = self.propagation(
            self.seam.head(key),
            cur,
            key,
            is_same=[m['is_same'] for m in metas],
            img_shapes=[m['img_shape'] for m in metas],
        )
        return self.seam.run('loss', cur, feats, data_samples)

    def predict(self, inputs: list, data_samples: list) -> list:
        """Predict frame by frame, in the order of the inputs (Algorithm 1).

        Args:
            inputs: One entry per frame: image (1, 3, H, W), or ``dict(cur, key)`` to
                propagate from that key frame.
            data_samples: One per frame, with ``video_id`` and ``frame_id``. A frame
                without both is a single image: a key frame that is not remembered.

        Returns:
            Data samples with predictions, ``is_key_frame`` and ``offset``.

        Raises:
            ValueError: If only one of ``video_id`` and ``frame_id`` is present, or a
                pair has no ``offset``.
        """
        return [
            self._predict_frame(item, sample)
            for item, sample in zip(inputs, data_samples, strict=True)
        ]

    def _predict_frame(self, item: Tensor | dict[str, Tensor], sample: Any) -> Any:
        """Predict one frame and advance the stream (Algorithm 1)."""
        image = item['cur'] if isinstance(item, dict) else item
        meta, state = sample.metainfo, self.stream
        feats: Sequence[Feats]
        if not self._is_in_a_video(meta):
            self.reset_stream()
            feats, offset = self._encode(image), 0
        else:
            new_key = self._find_new_key(item, meta)
            if new_key is not None:
                key, key_id = new_key
                state.begin(
                    key,
                    self._encode(key),
                    video_id=meta['video_id'],
                    frame_id=key_id,
                    shape=meta['img_shape'],
                )
            state.frame_id = meta['frame_id']
            offset = state.offset
            if offset:
                feats, state.flow = self._propagate(image, meta['img_shape'])
            else:
                feats = state.key_feats
        (result,) = self.seam.run('predict', image, feats, [sample])
        result.set_metainfo(dict(is_key_frame=offset == 0, offset=offset))
        return result

    def _find_new_key(
        self, item: Tensor | dict[str, Tensor], meta: dict
    ) -> tuple[Tensor, int] | None:
        """Return the frame that becomes the key frame, None to keep the key.

        Returns:
            The frame (1, 3, H, W) and its number in the video.
        """
        state, video_id, frame_id = self.stream, meta['video_id'], meta['frame_id']
        if isinstance(item, dict):
            if 'offset' not in meta:
                raise ValueError(
                    'a test pair needs `offset` in its metainfo, which '
                    f'VideoPairDataset sets; got {sorted(meta)}'
                )
            key_id = frame_id - meta['offset']
            is_key = state.has_key(item['key'], video_id=video_id, frame_id=key_id)
            return None if is_key else (item['key'], key_id)
        continues = state.is_continued_by(
            video_id=video_id, frame_id=frame_id, image=item, shape=meta['img_shape']
        )
        if continues and not self.key_frame_scheduler.is_key_frame(state, frame_id):
            return None
        return item, frame_id

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

    def _encode(self, image: Tensor) -> list[Feats]:
        """Run N_feat on each window of an image (1, 3, H, W)."""
        return [self.seam.head(cut(image, w)) for w in self.seam.windows(image)]

    def _propagate(
        self, image: Tensor, shape: Sequence[int]
    ) -> tuple[list[Feats], Tensor]:
        """Carry the key features to an image, each window by a flow of its own.

        Args:
            image: Current frame (1, 3, H, W).
            shape: Its size (H, W) inside the padding.

        Returns:
            Features, one entry per window, and the flow (1, 2, h, w) of the image.
        """
        key, windows = self.stream.key_image, self.seam.windows(image)
        assert key is not None  # the caller has made one
        feats, flows = [], []
        for window, key_feats in zip(windows, self.stream.key_feats, strict=True):
            carried, flow = self.propagation(
                key_feats,
                cut(image, window),
                cut(key, window),
                img_shapes=[shape_inside(shape, window)],
            )
            feats.append(carried)
            flows.append(flow.detach())
        stride = self.propagation.flow_estimator.flow_stride
        return feats, join_windows(flows, windows, size=image.shape[-2:], stride=stride)
