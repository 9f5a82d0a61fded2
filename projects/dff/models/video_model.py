"""What the video detector and the video segmentor share."""

import logging
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import MODELS, Registry
from torch import Tensor, nn

from dff.checkpoint import adapt_frame_state_dict

from .feature_levels import as_levels, like_feats
from .image_model import build_image_model, check_part, freeze
from .key_frame import StreamState, has_place
from .preprocessor import VideoDataPreprocessor
from .propagation import FeaturePropagation
from .seam.feature_seam import FeatureSeam, cut, join_windows, shape_inside
from .seam.fit_flow import fit_flow
from .seam.split_point import find_split


class DFFVideoModel(BaseModel):
    """Wrap an image model for Deep Feature Flow (paper Sec. 3, Fig. 2b).

    Training takes frame pairs; prediction takes frames in stream order (Algorithm
    1), or pairs. See ``docs/design.md`` for the batch layout and the stream state.

    Args:
        model: Image model, or its config.
        propagation: Config or module of :class:`FeaturePropagation`.
        registry: Where the image model is built.
        key_frame_scheduler: Config or object that decides on key frames; default is
            every ``default_interval``-th.
        frozen_modules: Patterns (``fnmatch``) of module or parameter names that are
            not trained: no gradients, kept in eval mode. For example ``['detector']``
            (fix N) or ``['propagation.flow_estimator']`` (fix F).
        split: Where N_feat ends (paper Tab. 5): how many layers N_task has, or the
            backbone's stage that N_feat ends with; see :func:`find_split`. The config
            of the flow network then gets its strides and scale channels from there.
            None is the end of ``extract_feat``.
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
        propagation: dict | nn.Module,
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
        self.split, self.place = split, find_split(model, split)
        if split is not None:
            propagation = fit_flow(propagation, self.seam)
        if isinstance(propagation, dict):
            propagation = MODELS.build(propagation)
        check_part('propagation', propagation, 'bind_preprocessor')
        self.propagation: FeaturePropagation = propagation
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
        return FeatureSeam(self.image_model, place=self.place)

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
            inputs: As ``VideoDataPreprocessor`` gives them; in mode ``'tensor'``
                images (N, 3, H, W).
            data_samples: One a current frame.
            mode: ``'loss'``, ``'predict'`` or ``'tensor'`` (the wrapped model's raw
                output on images, without propagation).

        Raises:
            ValueError: If the mode is none of these.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.image_model(inputs, data_samples, mode='tensor')
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")

    def loss(self, inputs: dict[str, Tensor], data_samples: list) -> dict:
        """Compute the wrapped model's losses on propagated features (Fig. 2b).

        Args:
            inputs: ``cur`` and ``key`` (N, 3, H, W).
            data_samples: Labels of ``cur``, with ``is_same`` in their metainfo.
        """
        cur, key = inputs['cur'], inputs['key']
        metas = [sample.metainfo for sample in data_samples]
        missing = [m.get('img_path') for m in metas if 'is_same' not in m]
        if missing:
            raise ValueError(
                'training needs `is_same` in the metainfo of each pair, as '
                f'VideoPairDataset gives it; missing for {missing[:3]}'
            )
        feats = self.seam.head(key)
        feats = self.propagation(
            feats,
            cur,
            key,
            levels=self.seam.levels(feats),
            is_same=[m['is_same'] for m in metas],
            img_shapes=[m['img_shape'] for m in metas],
        )
        return self.seam.run('loss', cur, feats, data_samples)

    def predict(self, inputs: list, data_samples: list) -> list:
        """Predict frame by frame, in the order given (Algorithm 1).

        Args:
            inputs: One entry a frame: image (1, 3, H, W), or ``dict(cur, key)`` to
                propagate from a given key frame.
            data_samples: One a frame, with ``video_id`` and ``frame_id``. A frame
                that has neither is a single image: a key frame, not remembered.

        Returns:
            Data samples with predictions, ``is_key_frame`` and ``offset``.
        """
        results = []
        for item, sample in zip(inputs, data_samples, strict=True):
            meta, state = sample.metainfo, self.stream
            image = item['cur'] if isinstance(item, dict) else item
            if not self._is_in_a_video(meta):
                self.reset_stream()
                feats, offset = self._encode(image), 0
            else:
                give = (
                    self._pair_feats if isinstance(item, dict) else self._stream_feats
                )
                feats = give(item, meta)
                offset = meta['frame_id'] - state.key_frame_id
            (result,) = self.seam.run_windows('predict', image, feats, [sample])
            result.set_metainfo(dict(is_key_frame=offset == 0, offset=offset))
            results.append(result)
        return results

    def _is_in_a_video(self, meta: dict) -> bool:
        is_placed = has_place(meta)
        if not is_placed and not self._has_warned:
            self._has_warned = True
            print_log(
                'frames without video_id and frame_id in their metainfo are single '
                'images: each is a key frame and nothing is propagated. For videos '
                'use VideoPairDataset, or name both in `meta_keys` of the packing '
                'transform',
                logger='current',
                level=logging.WARNING,
            )
        return is_placed

    def _stream_feats(self, image: Tensor, meta: dict) -> list:
        """Give the features of the next frame of a stream and advance the state."""
        state, frame_id = self.stream, meta['frame_id']
        is_continued = state.is_continued_by(
            video_id=meta['video_id'],
            frame_id=frame_id,
            image=image,
            shape=meta['img_shape'],
        )
        if not is_continued or self.key_frame_scheduler.is_key_frame(state, frame_id):
            return self._set_key(image, meta, frame_id)
        state.frame_id = frame_id
        return self._propagate(image, meta)

    def _pair_feats(self, pair: dict[str, Tensor], meta: dict) -> list:
        """Give cur's features from a given key frame, kept while it is the same."""
        if 'offset' not in meta:
            raise ValueError(
                'a test pair needs `offset` in its metainfo, as VideoPairDataset '
                f'gives it; got {sorted(meta)}'
            )
        state, key_id = self.stream, meta['frame_id'] - meta['offset']
        is_known = state.has_key(
            pair['key'], video_id=meta['video_id'], frame_id=key_id
        )
        feats = (
            state.key_feats if is_known else self._set_key(pair['key'], meta, key_id)
        )
        state.frame_id = meta['frame_id']
        if meta['offset'] == 0:
            return feats
        return self._propagate(pair['cur'], meta)

    def _encode(self, image: Tensor) -> list:
        """Run N_feat on each window of an image (1, 3, H, W)."""
        return [self.seam.head(cut(image, w)) for w in self.seam.windows(image)]

    def _set_key(self, image: Tensor, meta: dict, frame_id: int) -> list:
        feats = self._encode(image)
        kept = [
            like_feats([f.detach() for f in as_levels(part)], part) for part in feats
        ]
        place = dict(video_id=meta['video_id'], frame_id=frame_id)
        self.stream.begin(image, kept, shape=meta['img_shape'], **place)
        return feats

    def _propagate(self, image: Tensor, meta: dict) -> list:
        """Carry the key features to an image, each window by a flow of its own."""
        state, propagation = self.stream, self.propagation
        windows, feats, flows = self.seam.windows(image), [], []
        for window, key_feats in zip(windows, state.key_feats, strict=True):
            levels = self.seam.levels(key_feats)
            flow, scale = propagation.estimate(
                cut(image, window),
                cut(state.key_image, window),
                [shape_inside(meta['img_shape'], window)],
                levels=levels,
            )
            fields = propagation.fields(flow, scale, key_feats, levels=levels)
            feats.append(propagation.warp(key_feats, fields))
            flows.append(flow.detach())
        stride = propagation.flow_estimator.flow_stride
        state.flow = join_windows(flows, windows, size=image.shape[-2:], stride=stride)
        return feats
