"""What the video detector and the video segmentor share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import Tensor, nn

from dff.checkpoint import adapt_frame_state_dict

from .key_frame import StreamState
from .preprocessor import VideoDataPreprocessor
from .propagation import FeaturePropagation, as_levels, like_feats

STREAM_KEYS = ('video_id', 'frame_id')


def with_preprocessor(model: dict, preprocessor: dict | None, *, name: str) -> dict:
    """Give an image model's config a preprocessor if it has none.

    Raises:
        ValueError: If there is none at all: images would not be normalised.
    """
    if model.get('data_preprocessor') is not None:
        return model
    if preprocessor is None:
        raise ValueError(
            f'{name} must have a data_preprocessor in its config, otherwise images '
            f'are not normalised; got the keys {sorted(model)}'
        )
    return dict(model, data_preprocessor=preprocessor)


class FeatureSeam:
    """Split an image model into N_feat and N_task at the end of ``extract_feat``.

    Args:
        model: Detector of mmdet or segmentor of mmseg, which reach the pixels only
            through ``extract_feat``.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def head(self, images: Tensor) -> Any:
        """Run N_feat on images (N, 3, H, W)."""
        return self.model.extract_feat(images)

    def tail(self, feats: Any) -> Any:
        """Give what the model expects of ``extract_feat``."""
        return feats

    def run(self, method: str, images: Tensor, feats: Any, *args: Any) -> Any:
        """Call a method of the model on features at hand.

        Args:
            method: ``'loss'``, ``'predict'`` or ``'_forward'``.
            images: (N, 3, H, W); only their size is read.
            feats: Features of these images, as ``head`` gives them.
            args: Further arguments of the method, such as data samples.
        """
        with self._handed_in(self.tail(feats)):
            return getattr(self.model, method)(images, *args)

    @contextmanager
    def _handed_in(self, feats: Any) -> Iterator[None]:
        self.model.extract_feat = lambda *args, **kwargs: feats
        try:
            yield
        finally:
            del self.model.extract_feat


class DFFVideoModel(BaseModel):
    """Wrap an image model for Deep Feature Flow (paper Sec. 3, Fig. 2b).

    Training takes frame pairs; prediction takes frames in stream order (Algorithm
    1), or pairs. See ``docs/design.md`` for the batch layout and the stream state.

    Args:
        model: Image model, built.
        propagation: Config or module of :class:`FeaturePropagation`.
        key_frame_scheduler: Config or object that decides on key frames.
        frozen_modules: Patterns (``fnmatch``) of module or parameter names that are
            not trained: no gradients, kept in eval mode.
        init_cfg: As in mmengine.

    Raises:
        ValueError: If a frozen pattern matches nothing.
    """

    wrapped_name = ''

    def __init__(
        self,
        model: nn.Module,
        propagation: dict | nn.Module,
        *,
        key_frame_scheduler: dict | Any,
        frozen_modules: Sequence[str] = (),
        init_cfg: dict | None = None,
    ) -> None:
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
        if isinstance(propagation, dict):
            propagation = MODELS.build(propagation)
        self.propagation: FeaturePropagation = propagation
        self.propagation.bind_preprocessor(model.data_preprocessor)
        if isinstance(key_frame_scheduler, dict):
            key_frame_scheduler = MODELS.build(key_frame_scheduler)
        self.key_frame_scheduler = key_frame_scheduler
        self.stream = StreamState()
        self.frozen_modules = tuple(frozen_modules)
        self._freeze()
        self._register_load_state_dict_pre_hook(self._before_load)

    @property
    def image_model(self) -> nn.Module:
        """The wrapped model."""
        return getattr(self, self.wrapped_name)

    @property
    def seam(self) -> FeatureSeam:
        """Where N_feat ends and N_task begins."""
        return FeatureSeam(self.image_model)

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

    def _freeze(self) -> None:
        """Match ``frozen_modules`` on the names of modules and parameters."""
        modules = [name for name, _ in self.named_modules() if name]
        params = dict(self.named_parameters())
        self._frozen_names: list[str] = []
        for pattern in self.frozen_modules:
            found = [name for name in modules if fnmatchcase(name, pattern)]
            self._frozen_names += found
            frozen = [n for n in params if fnmatchcase(n, pattern)]
            if not (found or frozen):
                raise ValueError(
                    f'frozen_modules pattern {pattern!r} matches no module or '
                    f'parameter; modules: {modules[:20]} …'
                )
            for name in frozen:
                params[name].requires_grad_(False)
            for name in found:
                self.get_submodule(name).requires_grad_(False)
        self.train(self.training)

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
        feats = self.propagation(
            self.seam.head(key),
            cur,
            key,
            is_same=[m['is_same'] for m in metas],
            img_shapes=[m['img_shape'] for m in metas],
        )
        return self.seam.run('loss', cur, feats, data_samples)

    def predict(self, inputs: list, data_samples: list) -> list:
        """Predict frame by frame, in the order given (Algorithm 1).

        Args:
            inputs: One entry a frame: image (1, 3, H, W), or ``dict(cur, key)`` to
                propagate from a given key frame.
            data_samples: One a frame, with ``video_id`` and ``frame_id``.

        Returns:
            Data samples with predictions, ``is_key_frame`` and ``offset``.
        """
        results = []
        for item, sample in zip(inputs, data_samples, strict=True):
            meta = sample.metainfo
            missing = [name for name in STREAM_KEYS if name not in meta]
            if missing:
                raise ValueError(
                    f'a test frame needs {" and ".join(missing)} in its metainfo to '
                    'be placed in its video; name them in `meta_keys` of the packing '
                    'transform, or use VideoPairDataset; got '
                    f'{sorted(meta)}'
                )
            if isinstance(item, dict):
                feats = self._pair_feats(item, meta)
                image = item['cur']
            else:
                feats, image = self._stream_feats(item, meta), item
            result = self.seam.run('predict', image, feats, [sample])[0]
            offset = meta['frame_id'] - self.stream.key_frame_id
            result.set_metainfo(dict(is_key_frame=offset == 0, offset=offset))
            results.append(result)
        return results

    def _stream_feats(self, image: Tensor, meta: dict) -> Any:
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

    def _pair_feats(self, pair: dict[str, Tensor], meta: dict) -> Any:
        """Give cur's features from a given key frame, kept while it is the same."""
        if 'offset' not in meta:
            raise ValueError(
                'a test pair needs `offset` in its metainfo, as VideoPairDataset '
                f'gives it; got {sorted(meta)}'
            )
        state, key_id = self.stream, meta['frame_id'] - meta['offset']
        is_known = (
            not state.is_empty
            and (state.video_id, state.key_frame_id) == (meta['video_id'], key_id)
            and state.key_image.shape == pair['key'].shape
            and bool((state.key_image == pair['key']).all())
        )
        feats = (
            state.key_feats if is_known else self._set_key(pair['key'], meta, key_id)
        )
        state.frame_id = meta['frame_id']
        if meta['offset'] == 0:
            return feats
        return self._propagate(pair['cur'], meta)

    def _set_key(self, image: Tensor, meta: dict, frame_id: int) -> Any:
        feats = self.seam.head(image)
        state = self.stream
        state.reset()
        state.video_id, state.frame_id = meta['video_id'], frame_id
        state.key_frame_id, state.key_shape = frame_id, tuple(meta['img_shape'])
        state.key_image = image.detach()
        state.key_feats = like_feats([f.detach() for f in as_levels(feats)], feats)
        return feats

    def _propagate(self, image: Tensor, meta: dict) -> Any:
        state, propagation = self.stream, self.propagation
        flow, scale = propagation.estimate(image, state.key_image, [meta['img_shape']])
        state.flow = flow.detach()
        fields = propagation.fields(flow, scale, state.key_feats)
        return propagation.warp(state.key_feats, fields)
