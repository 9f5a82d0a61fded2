"""Run a pipeline on two frames with the same random draws."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.dataset import Compose

from dff.random_state import RandomState

# These mix in other images or draw from a generator of their own.
UNPAIRABLE_TRANSFORMS = frozenset(
    'Mosaic CachedMosaic MixUp CachedMixUp CopyPaste RandomMosaic Mosaic9 '
    'YOLOv5MixUp YOLOXMixUp YOLOv5CopyPaste CutMix Albu MultiBranch '
    'ProposalBroadcaster'.split()
)
UNPAIRABLE_DATASETS = frozenset(['MultiImageMixDataset'])


def _type_names(cfg: Any) -> Iterator[str]:
    """Yield every `type` in nested configs, without its scope."""
    if isinstance(cfg, Mapping):
        if 'type' in cfg:
            kind = cfg['type']
            name = kind if isinstance(kind, str) else kind.__name__
            yield name.rpartition('.')[2]
        for value in cfg.values():
            yield from _type_names(value)
    elif isinstance(cfg, Sequence) and not isinstance(cfg, str):
        for value in cfg:
            yield from _type_names(value)
    elif callable(cfg) and not isinstance(cfg, type):
        yield type(cfg).__name__


def check_pairable(pipeline: Sequence, dataset: Any) -> None:
    """Check, by name, that two frames can share all transforms.

    Raises:
        ValueError: If the pipeline or the data set has one that cannot be shared.
    """
    refused = sorted(set(_type_names(pipeline)) & UNPAIRABLE_TRANSFORMS)
    if refused:
        raise ValueError(
            f'transforms {refused} mix in other images or use random numbers of '
            'their own, so key and cur cannot share them: remove them from the pipeline'
        )
    refused = sorted(set(_type_names(dataset)) & UNPAIRABLE_DATASETS)
    if refused:
        raise ValueError(f'{refused} mixes images, so it knows no frame pairs')


class PairedPipeline:
    """Run a pipeline on single frames, or on `cur` and `key` in the same way.

    Label maps of unlabelled frames are not loaded.
    """

    def __init__(self, pipeline: Sequence) -> None:
        """Build the transforms."""
        self.compose = Compose(pipeline)

    def remove_transforms(self, names: Sequence[str]) -> None:
        """Remove the transforms with these class names."""
        self.compose.transforms = [
            transform
            for transform in self.compose.transforms
            if type(transform).__name__ not in names
        ]

    def run_single(self, info: dict) -> dict | None:
        """Run the pipeline on one frame.

        Args:
            info: The data set's description of the frame.

        Returns:
            The packed frame, or None if a transform rejected it.

        Raises:
            FileNotFoundError: If the image does not exist.
            ValueError: If the image cannot be read, or does not fit its label map.
        """
        return self._run(info)[0]

    def run_pair(self, cur_info: dict, key_path: str) -> tuple[dict, dict] | None:
        """Run the pipeline on `cur`, then on `key`, with the same random draws.

        The run on `key` gets the annotations of `cur`, so that transforms which depend
        on boxes or labels (crops) do the same to both frames.

        Args:
            cur_info: The data set's description of the labelled frame.
            key_path: Image of the key frame.

        Returns:
            The packed frames (cur, key), or None if a transform rejected one.

        Raises:
            FileNotFoundError: If an image does not exist.
            ValueError: If an image cannot be read, the frames differ in size, or the
                pipeline used different random numbers for them.
        """
        key_info = _with_image(cur_info, key_path)
        cur_path = cur_info['img_path']
        before = RandomState.capture()
        cur, cur_size = self._run(cur_info)
        after = RandomState.capture()
        before.restore()
        key, key_size = self._run(key_info)
        drew_alike = RandomState.capture().equals(after)
        after.restore()
        if cur_size and key_size and cur_size != key_size:
            raise ValueError(
                f'frame size changes inside a video: {cur_path} is '
                f'{cur_size[1]}x{cur_size[0]}, {key_path} is '
                f'{key_size[1]}x{key_size[0]}'
            )
        if cur is None or key is None:
            return None
        if not drew_alike or cur['inputs'].shape != key['inputs'].shape:
            raise ValueError(
                f'the pipeline treated {cur_path} and {key_path} differently: the '
                'random numbers of a transform depend on the pixels'
            )
        return cur, key

    def _run(self, info: dict) -> tuple[dict | None, tuple[int, int] | None]:
        """Return the packed frame and its (height, width) as read."""
        path, size, results = info['img_path'], None, info
        lacks_map = 'seg_map_path' in info and not info.get('is_labelled', True)
        for transform in self.compose.transforms:
            if lacks_map and type(transform).__name__.endswith('LoadAnnotations'):
                continue
            had_map = 'gt_seg_map' in results
            try:
                results = transform(results)
            except (AssertionError, cv2.error, OSError, ValueError) as error:
                if size is None:  # the image was not read yet
                    raise _make_read_error(path, error) from error
                raise
            if results is None:
                return None, size
            if size is None and 'img' in results:
                size = tuple(results['img'].shape[:2])
            if not had_map and 'gt_seg_map' in results:
                _check_map(results['gt_seg_map'], info, size)
        return results, size


def _make_read_error(path: str, error: Exception) -> Exception:
    """Return the error to raise for a frame that a transform could not read."""
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f'frame {path} does not exist')
    return ValueError(f'cannot read frame {path}: {error}')


def _check_map(label_map: np.ndarray, info: dict, size: tuple | None) -> None:
    """Check that a label map has the size of its image."""
    if size is not None and label_map.shape != size:
        raise ValueError(
            f'label map {info["seg_map_path"]} must have the size {size} (H, W) of '
            f'its image {info["img_path"]} and one channel, got {label_map.shape}'
        )


def _with_image(info: dict, img_path: str) -> dict:
    """Copy a description and replace its image."""
    other = copy.deepcopy(info)
    other['img_path'] = img_path
    return other
