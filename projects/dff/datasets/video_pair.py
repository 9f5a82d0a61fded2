"""Frame pairs (k, i) for training, streams and fixed offsets for test."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import exists
from mmengine.registry import DATASETS
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from .file_pattern import FilePattern
from .item_selection import (
    Item,
    check_counts,
    check_options,
    select_test,
    select_training,
    split_at_key_frames,
)
from .paired_pipeline import PairedPipeline, check_pairable
from .source_dataset import build_source_dataset, check_labels
from .still_motion import StillMotion
from .video_index import VideoIndex


@DATASETS.register_module()
class VideoPairDataset(Dataset):
    """Turn a data set with video information into pairs or streams of frames.

    Training (`test_mode=False`): one item per labelled frame i (`cur`), with a key
    frame k. The offset i - k is drawn uniformly from `offset_range` and clamped to the
    start of the video (paper Sec. 3, Sec. 5). The key frame may be unlabelled. With
    `pairs=False` items are single frames, for image models.
    Test: one item per frame, labelled or not, in order (a stream). With
    `test_offsets`, one item per labelled frame and offset o, with k = i - o (the
    protocol of the paper, Sec. 5.2).

    docs/design.md ("Pair", "Stream") describes items and metainfo. This class sets the
    metainfo itself, independently of the pipeline's `meta_keys`. Labelled test frames
    also have `instances`, the ground truth in pixels of the original frame, so that
    COCO metrics need no annotation file.
    """

    num_left_out = 0  # labelled frames that are excluded at all fixed offsets

    def __init__(
        self,
        dataset: dict | BaseDataset,
        pipeline: Sequence[dict | Callable],
        *,
        offset_range: tuple[int, int] = (0, 9),
        test_mode: bool = False,
        test_offsets: Sequence[int] | None = None,
        clamp_test_offsets: bool = False,
        missing: Literal['error', 'nearest'] = 'error',
        as_stills: bool = False,
        file_pattern: str | Mapping | None = None,
        pairs: bool = True,
        still_motion: Mapping | None = None,
        min_video_length: int = 1,
        frame_stride: int = 1,
        max_frames_per_video: int | None = None,
        max_refetch: int = 100,
    ) -> None:
        """Build the data set and index its frames.

        Args:
            dataset: Config of a data set without pipeline. Its `filter_cfg` selects
                the frames that become `cur`. No frame is removed.
            pipeline: Transforms, run on both frames with the same random draws.
            offset_range: Smallest and largest i - k in training.
            test_mode: Whether to deliver test items.
            test_offsets: Offsets of the per-offset protocol.
            clamp_test_offsets: Whether the first frame of a video replaces key frames
                before it. If not, `num_left_out` frames are excluded at all offsets.
            missing: For a missing key frame: raise an error, or use the nearest frame.
            as_stills: Whether items without video information are stills (k = i).
            file_pattern: How to read video and frame from a path, for data sets
                without video information: a regular expression or the arguments of
                `FilePattern`. The default is `FILE_PATTERN` of the data set.
            pairs: Whether training items are pairs.
            still_motion: Arguments of `StillMotion`, which makes the key frame of a
                training pair with k = i (`is_same` is then False). None copies it.
            min_video_length: Exclude videos with fewer frames from training.
            frame_stride: Use every n-th labelled frame of a video, in training and
                with `test_offsets`. A stream has all frames.
            max_frames_per_video: Largest number of labelled frames per video in
                training, evenly spread.
            max_refetch: How many frames the pipeline may reject in a row.

        Raises:
            TypeError, ValueError: If an option is invalid, or no frame is selected.
            FileNotFoundError: If `test_offsets` need a frame that does not exist.
        """
        check_options(offset_range, test_offsets, missing, test_mode)
        counts = dict(min_video_length=min_video_length, frame_stride=frame_stride)
        if max_frames_per_video is not None:
            counts |= dict(max_frames_per_video=max_frames_per_video)
        check_counts(**counts, max_refetch=max_refetch)
        if pairs and not test_mode:
            check_pairable(pipeline, dataset)
        self.offset_range = tuple(offset_range)
        self.test_mode, self.pairs = test_mode, pairs
        self.missing, self.max_refetch = missing, max_refetch
        self.still_motion = (
            None if still_motion is None else StillMotion(**still_motion)
        )
        self.dataset, filter_cfg = build_source_dataset(dataset)
        source = None if as_stills else self.dataset
        pattern = FilePattern.for_dataset(source, file_pattern)
        self.index = VideoIndex(self.dataset, as_stills=as_stills, file_pattern=pattern)
        self.pipeline = PairedPipeline(pipeline)
        if test_mode:
            self.items, self.num_left_out = select_test(
                self.index,
                test_offsets,
                clamp=clamp_test_offsets,
                missing_is_error=missing == 'error',
                stride=frame_stride,
            )
        else:
            self.items = select_training(
                self.index,
                filter_cfg=filter_cfg,
                stride=frame_stride,
                max_frames=max_frames_per_video,
                min_length=min_video_length,
            )
        self._check_items()

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.items)

    def __getitem__(self, idx: int) -> dict:
        """Return one item, see docs/design.md.

        Raises:
            FileNotFoundError: If a frame does not exist.
            RuntimeError: If the pipeline rejects `max_refetch` frames in a row.
            ValueError: If a frame or its labels cannot be read.
        """
        if self.test_mode:
            data = self._prepare_test(self.items[idx])
            if data is None:
                path = self.get_data_info(idx)['img_path']
                raise RuntimeError(f'the test pipeline rejected {path}')
            return data
        for _ in range(self.max_refetch):
            data = self._prepare_training(self.items[idx].cur)
            if data is not None:
                return data
            idx = np.random.randint(len(self))
        path = self.get_data_info(idx)['img_path']
        raise RuntimeError(
            f'the pipeline rejected {self.max_refetch} frames in a row, the last one '
            f'is {path}: check that its crops keep boxes'
        )

    @property
    def metainfo(self) -> dict:
        """Classes and palette of the wrapped data set, and `num_left_out`."""
        return dict(self.dataset.metainfo, num_left_out=self.num_left_out)

    def full_init(self) -> None:
        """Do nothing: everything is read when it is built."""

    def update_skip_type_keys(self, skip_type_keys: Sequence[str]) -> None:
        """Remove transforms from the pipeline, for YOLOXModeSwitchHook."""
        self.pipeline.remove_transforms(skip_type_keys)

    def get_data_info(self, idx: int) -> dict:
        """Return the data set's description of the frame `cur` of an item."""
        return self.index.get_info(self.items[idx].cur)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of the boxes in the frame `cur` of an item."""
        return [item['bbox_label'] for item in self.get_data_info(idx)['instances']]

    def get_video_spans(self) -> list[tuple[int, int]]:
        """Return (start, stop) of the items of each video, in order."""
        videos = np.array([self.index.video_of(item.cur) for item in self.items])
        bounds = np.flatnonzero(np.diff(videos)) + 1
        edges = [0, *bounds.tolist(), len(videos)]
        return list(zip(edges[:-1], edges[1:], strict=True))

    def get_key_spans(self, interval: int) -> list[tuple[int, int]]:
        """Return (start, stop) of the items from one key frame to the next, in order.

        In a stream, the key frames are the first frame of a video, the first frame
        after a gap, and every `interval`-th frame from there on. Pairs with the same
        key frame stay together.
        """
        videos = self.get_video_spans()
        return split_at_key_frames(self.index, self.items, videos, interval)

    def _check_items(self) -> None:
        if not self.items:
            source = getattr(self.dataset, 'ann_file', None) or getattr(
                self.dataset, 'data_prefix', self.dataset
            )
            num_labelled = int(self.index.is_labelled.sum())
            raise ValueError(
                f'no frame of {source} is selected: {len(self.index)} frames, '
                f'{num_labelled} labelled, {self.num_left_out} of these excluded '
                'because a key frame is missing'
            )

    def _prepare_training(self, cur: int) -> dict | None:
        if not self.pairs:
            return self._prepare_single(cur)
        key = self._draw_key(cur)
        return self._prepare_pair(cur, key)

    def _prepare_test(self, item: Item) -> dict | None:
        if item.key is None:
            return self._prepare_single(item.cur)
        data = self._prepare_pair(item.cur, item.key)
        if data is not None:
            data['data_samples'].set_metainfo(dict(asked_offset=item.offset))
        return data

    def _prepare_single(self, cur: int) -> dict | None:
        info = self.index.get_info(cur)
        meta = self._metainfo_of(info)
        data = self.pipeline.run_single(info)
        if data is not None:
            self._finish(data['data_samples'], meta)
        return data

    def _draw_single(self) -> dict | None:
        item = self.items[np.random.randint(len(self))]
        return self.pipeline.run_single(self.index.get_info(item.cur))

    def _prepare_pair(self, cur: int, key: int) -> dict | None:
        info = self.index.get_info(cur)
        offset = int(self.index.frame_ids[cur] - self.index.frame_ids[key])
        meta = self._metainfo_of(info)
        meta.update(is_same=cur == key, offset=offset)
        if cur == key:
            packed = self.pipeline.run_single(info)
            if packed is None:
                return None
            if self.still_motion is None or self.test_mode:
                key_image = packed['inputs'].clone()
            else:
                key_image = self.still_motion.make_key(packed, self._draw_single)
                meta['is_same'] = False
            inputs = dict(cur=packed['inputs'], key=key_image)
        else:
            key_path = self.index.get_info(key)['img_path']
            both = self.pipeline.run_pair(info, key_path)
            if both is None:
                return None
            packed = both[0]
            inputs = dict(cur=packed['inputs'], key=both[1]['inputs'])
        self._finish(packed['data_samples'], meta)
        return dict(inputs=inputs, data_samples=packed['data_samples'])

    def _finish(self, sample: BaseDataElement, meta: dict) -> None:
        """Set the metainfo, and check that the classes cover the labels."""
        sample.set_metainfo(meta)
        check_labels(sample, self.dataset)

    def _metainfo_of(self, info: dict) -> dict:
        names = ('video_id', 'frame_id', 'video_name', 'is_labelled', 'img_path')
        meta = {name: info[name] for name in names}
        if 'img_id' in info:
            meta['img_id'] = info['img_id']
        if self.test_mode and info['is_labelled'] and 'instances' in info:
            meta['instances'] = [dict(item) for item in info['instances']]
        return meta

    def _draw_key(self, cur: int) -> int:
        """Draw k, clamp it to the video, and find a frame that exists."""
        low, high = self.offset_range
        offset = np.random.randint(low, high + 1)
        video = self.index.video_of(cur)
        start, _ = self.index.spans[video]
        wanted = max(self.index.frame_ids[cur] - offset, self.index.frame_ids[start])
        key = self.index.find(video, wanted)
        if key == cur or (key is not None and self._has_file(key)):
            return key
        if self.missing == 'error':
            raise FileNotFoundError(self._missing_message(cur, int(wanted), key))
        ids = self.index.frame_ids[start : cur + 1]
        # Of two equally near frames, the later one has more in common with `cur`.
        order = np.argsort(np.abs(ids - wanted)[::-1], kind='stable')
        for candidate in cur - order:
            if candidate == cur or self._has_file(int(candidate)):
                return int(candidate)
        raise AssertionError('cur is a candidate of itself')

    def _has_file(self, index: int) -> bool:
        return exists(self.index.get_info(index)['img_path'])

    def _missing_message(self, cur: int, wanted: int, key: int | None) -> str:
        info = self.index.get_info(cur)
        what = f'frame {wanted} of video {info["video_name"]!r}'
        where = 'is not in the annotations'
        if key is not None:
            where = f'has no file {self.index.get_info(key)["img_path"]}'
        return (
            f'{what}, key frame of {info["img_path"]}, {where} (missing="nearest" '
            'uses the nearest frame that exists)'
        )
