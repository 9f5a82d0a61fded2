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
    key_spans,
    select_test,
    select_training,
)
from .paired_pipeline import PairedPipeline, check_pairable
from .source_dataset import build_frames, check_labels
from .still_motion import StillMotion
from .video_index import VideoIndex


@DATASETS.register_module()
class VideoPairDataset(Dataset):
    """Wrap a stock data set that knows videos.

    Training (`test_mode=False`): one item a labelled frame i (`cur`), with a key
    frame k drawn uniformly from i - k in `offset_range`, clamped to the start of
    the video (paper Sec. 3, Sec. 5); the key may be unlabelled. With
    `pairs=False` items are single frames, for stock image models.
    Test: one item a frame, labelled or not, in order (a stream); with
    `test_offsets`, one item a labelled frame and offset o, with k = i - o (the
    paper's protocol, Sec. 5.2).

    Items and metainfo are those of docs/design.md ("Pair", "Stream"). The wrapper
    writes the metainfo itself, whatever `meta_keys` the pipeline packs. Labelled
    test frames also carry `instances`, the ground truth in pixels of the original
    frame, so that stock COCO metrics need no annotation file.
    """

    num_left_out = 0  # labelled frames that the fixed offsets do without

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
            dataset: Config of a stock data set without pipeline. Its `filter_cfg`
                only says which frames become `cur`; no frame is deleted.
            pipeline: Transforms, run once a frame with the same random draws.
            offset_range: Smallest and largest i - k in training.
            test_mode: Whether to test.
            test_offsets: Offsets of the per-offset protocol.
            clamp_test_offsets: Whether the first frame of a video stands in for keys
                before it; else `num_left_out` frames are left out of every offset.
            missing: For a key that is not there: raise, or take the nearest.
            as_stills: Whether items without video information are stills (k = i).
            file_pattern: What tells video and frame of a file, a regular expression
                or the arguments of `FilePattern`; for data sets that do not know.
                Default: the data set's own, `FILE_PATTERN`.
            pairs: Whether training items are pairs.
            still_motion: Arguments of `StillMotion`: what makes the key frame of a
                training pair with k = i, whose `is_same` is then False. None: a copy.
            min_video_length: In training, leave out videos of fewer frames.
            frame_stride: Take every n-th labelled frame of a video, in training and
                with `test_offsets`; a stream has all.
            max_frames_per_video: Take at most so many, evenly spread.
            max_refetch: How many frames the pipeline may give up in a row.
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
        has_motion = still_motion is not None
        self.still_motion = StillMotion(**still_motion) if has_motion else None
        self.dataset, filter_cfg = build_frames(dataset)
        pattern = FilePattern.of(None if as_stills else self.dataset, file_pattern)
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
            subset = dict(
                stride=frame_stride,
                max_frames=max_frames_per_video,
                min_length=min_video_length,
            )
            self.items = select_training(self.index, filter_cfg=filter_cfg, **subset)
        self._check_items()

    def __len__(self) -> int:
        """Return how many items are delivered."""
        return len(self.items)

    def __getitem__(self, idx: int) -> dict:
        """Return one item, see docs/design.md.

        Raises:
            FileNotFoundError: A frame is not there (it is named).
            RuntimeError: The pipeline gave up `max_refetch` frames in a row.
        """
        if self.test_mode:
            data = self._prepare_test(self.items[idx])
            if data is None:
                path = self.get_data_info(idx)['img_path']
                raise RuntimeError(f'the test pipeline gave up {path}')
            return data
        for _ in range(self.max_refetch):
            data = self._prepare_training(self.items[idx].cur)
            if data is not None:
                return data
            idx = np.random.randint(len(self))
        path = self.get_data_info(idx)['img_path']
        raise RuntimeError(
            f'the pipeline gave up {self.max_refetch} frames in a row, the last one '
            f'is {path}: do its crops keep any box?'
        )

    @property
    def metainfo(self) -> dict:
        """Classes and palette of the wrapped data set, and `num_left_out`."""
        return dict(self.dataset.metainfo, num_left_out=self.num_left_out)

    def full_init(self) -> None:
        """Do nothing: everything is read when it is built."""

    def update_skip_type_keys(self, skip_type_keys: Sequence[str]) -> None:
        """Leave transforms out from now on, as YOLOXModeSwitchHook asks."""
        self.pipeline.leave_out(skip_type_keys)

    def get_data_info(self, idx: int) -> dict:
        """Return the description of an item's `cur`, before the pipeline."""
        return self.index.get_info(self.items[idx].cur)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of an item's `cur`."""
        return [item['bbox_label'] for item in self.get_data_info(idx)['instances']]

    def get_video_spans(self) -> list[tuple[int, int]]:
        """Return (start, stop) of the items of each video, in order."""
        videos = np.array([self.index.video_of(item.cur) for item in self.items])
        bounds = np.flatnonzero(np.diff(videos)) + 1
        edges = [0, *bounds.tolist(), len(videos)]
        return list(zip(edges[:-1], edges[1:], strict=True))

    def get_key_spans(self, interval: int) -> list[tuple[int, int]]:
        """Return (start, stop) of the items from one key frame to the next, in order.

        Of a stream, key frames are a video's first frame, a frame after a gap, and
        each `interval`-th from there on. Pairs of one key frame stay together.
        """
        return key_spans(self.index, self.items, self.get_video_spans(), interval)

    def _check_items(self) -> None:
        if not self.items:
            source = getattr(self.dataset, 'ann_file', None) or getattr(
                self.dataset, 'data_prefix', self.dataset
            )
            num_labelled = int(self.index.is_labelled.sum())
            raise ValueError(
                f'{source} gives no frame to deliver: {len(self.index)} frames, '
                f'{num_labelled} labelled, {self.num_left_out} of these left out for '
                'want of predecessors'
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
        data = self.pipeline.single(info)
        if data is not None:
            self._finish(data['data_samples'], meta)
        return data

    def _draw_single(self) -> dict | None:
        item = self.items[np.random.randint(len(self))]
        return self.pipeline.single(self.index.get_info(item.cur))

    def _prepare_pair(self, cur: int, key: int) -> dict | None:
        info = self.index.get_info(cur)
        offset = int(self.index.frame_ids[cur] - self.index.frame_ids[key])
        meta = self._metainfo_of(info)
        meta.update(is_same=cur == key, offset=offset)
        if cur == key:
            packed = self.pipeline.single(info)
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
            both = self.pipeline.pair(info, key_path)
            if both is None:
                return None
            packed = both[0]
            inputs = dict(cur=packed['inputs'], key=both[1]['inputs'])
        self._finish(packed['data_samples'], meta)
        return dict(inputs=inputs, data_samples=packed['data_samples'])

    def _finish(self, sample: BaseDataElement, meta: dict) -> None:
        """Write the metainfo; refuse labels that the class list does not name."""
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
        """Draw k, clamp it to the video, and see that it is there."""
        low, high = self.offset_range
        offset = np.random.randint(low, high + 1)
        video = self.index.video_of(cur)
        start, _ = self.index.spans[video]
        wanted = max(self.index.frame_ids[cur] - offset, self.index.frame_ids[start])
        key = self.index.find(video, wanted)
        if key == cur or (key is not None and self._is_there(key)):
            return key
        if self.missing == 'error':
            raise FileNotFoundError(self._missing_message(cur, int(wanted), key))
        ids = self.index.frame_ids[start : cur + 1]
        # The later of two equally near ones: it shows more of what `cur` shows.
        order = np.argsort(np.abs(ids - wanted)[::-1], kind='stable')
        for candidate in cur - order:
            if candidate == cur or self._is_there(int(candidate)):
                return int(candidate)
        raise AssertionError('cur is a candidate of itself')

    def _is_there(self, index: int) -> bool:
        return exists(self.index.get_info(index)['img_path'])

    def _missing_message(self, cur: int, wanted: int, key: int | None) -> str:
        info = self.index.get_info(cur)
        what = f'frame {wanted} of video {info["video_name"]!r}'
        where = 'is not in the annotations'
        if key is not None:
            where = f'has no file {self.index.get_info(key)["img_path"]}'
        return (
            f'{what}, key of {info["img_path"]}, {where} (missing="nearest" takes '
            'the nearest frame that exists)'
        )
