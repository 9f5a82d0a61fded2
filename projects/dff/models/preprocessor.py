"""Pre-processing of frame pairs and streams by the wrapped model's own means."""

import copy
from typing import Any

from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn


class VideoDataPreprocessor(BaseDataPreprocessor):
    """Run an image preprocessor on pairs in training and on frames in test.

    In training, current and key frames go through the image preprocessor as one
    batch, so that both get the same normalisation, padding and batch resize. In test
    every frame (or pair) goes through it alone, so that a batch of any size is
    padded as batch 1 is.

    Args:
        image_preprocessor: Preprocessor of the wrapped model.
    """

    def __init__(self, image_preprocessor: nn.Module) -> None:
        super().__init__()
        self.image_preprocessor = image_preprocessor

    def forward(self, data: dict, training: bool = False) -> dict:
        """Pre-process a batch.

        Args:
            data: ``inputs`` and ``data_samples``. ``inputs`` is
                ``dict(cur=[...], key=[...])`` of images (3, H, W) for pairs, a list of
                images for a stream.
            training: Whether batch augmentations of training apply.

        Returns:
            ``inputs`` and ``data_samples``. In training ``inputs`` is
            ``dict(cur, key)`` of (N, 3, H, W); in test it is a list, one entry a
            sample: (1, 3, H, W), or ``dict(cur, key)`` of these.

        Raises:
            TypeError: If ``inputs`` is neither form.
            ValueError: If frames of a pair differ in size, or frames and samples in
                number.
        """
        inputs, samples = data['inputs'], data.get('data_samples')
        if isinstance(inputs, dict):
            self._check_pairs(inputs, samples)
        elif isinstance(inputs, Tensor):
            inputs = list(inputs)
        elif not isinstance(inputs, (list, tuple)):
            raise TypeError(
                'inputs must be a list of images or dict(cur=[...], key=[...]), got '
                f'{type(inputs).__name__}'
            )
        if training:
            return self._forward_pairs(inputs, samples or [])
        if samples is None:
            samples = []
        if isinstance(inputs, dict):
            count = len(inputs['cur'])
            items: list[Any] = [
                {n: [v[i]] for n, v in inputs.items()} for i in range(count)
            ]
        else:
            items = [[image] for image in inputs]
        if len(items) != len(samples):
            raise ValueError(
                f'every frame needs a data sample with video_id and frame_id, got '
                f'{len(items)} frames and {len(samples)} data samples'
            )
        outputs, out_samples = [], []
        for item, sample in zip(items, samples, strict=True):
            forward = self._forward_pairs if isinstance(item, dict) else self._run
            result = forward(item, [sample], training=False)
            outputs.append(result['inputs'])
            out_samples.extend(result['data_samples'])
        return dict(inputs=outputs, data_samples=out_samples)

    def _run(self, images: list, samples: list, training: bool) -> dict:
        data = dict(inputs=images, data_samples=samples)
        return self.image_preprocessor(data, training)

    def _forward_pairs(
        self, inputs: dict, samples: list, training: bool = True
    ) -> dict:
        if not isinstance(inputs, dict):
            raise TypeError(
                'training needs frame pairs, inputs=dict(cur=[...], key=[...]), as '
                f'VideoPairDataset gives them; got {type(inputs).__name__}'
            )
        count = len(inputs['cur'])
        # The key's labels are never read: a copy keeps cur's from being changed twice.
        images = [*inputs['cur'], *inputs['key']]
        result = self._run(images, [*samples, *copy.deepcopy(samples)], training)
        cur, key = result['inputs'][:count], result['inputs'][count:]
        return dict(
            inputs=dict(cur=cur, key=key), data_samples=result['data_samples'][:count]
        )

    @staticmethod
    def _check_pairs(inputs: dict, samples: list | None) -> None:
        if set(inputs) != {'cur', 'key'}:
            raise ValueError(
                f"a frame pair has the inputs 'cur' and 'key', got {sorted(inputs)}"
            )
        cur, key = inputs['cur'], inputs['key']
        if not len(cur) == len(key) == len(samples or ()):
            raise ValueError(
                'cur, key and data_samples must be equally many, got '
                f'{len(cur)}, {len(key)} and {len(samples or ())}'
            )
        for a, b, sample in zip(cur, key, samples or (), strict=True):
            if a.shape != b.shape:
                raise ValueError(
                    'the frames of a pair must have one size, got cur '
                    f'{tuple(a.shape)} and key {tuple(b.shape)} for '
                    f'{sample.metainfo.get("img_path", "a frame")}'
                )
