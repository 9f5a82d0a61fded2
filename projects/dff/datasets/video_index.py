"""Index the frames of a data set by video and frame id."""

from collections import defaultdict
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import exists

from .file_pattern import FilePattern


class VideoIndex:
    """Flat list of the frames of a data set, ordered by video and frame id.

    An item of the data set may be

    - a frame with `video_id` and `frame_id` (`CocoVIDDataset`),
    - a video with a list `images` (MMDetection's `BaseVideoDataset`),
    - an image whose file name contains the video and the frame number
      (`file_pattern`; any data set of MMSegmentation),
    - with `as_stills`, a still image: a video of one frame.

    A frame with the path of a label map is labelled if that file exists.

    Attributes:
        frame_ids: Frame id of each frame.
        is_labelled: Whether each frame is annotated.
        num_instances: Number of boxes of each frame that are not ignored.
        min_sides: Shorter side of each frame in pixels, -1 if it is unknown.
        spans: (start, stop) of each video.
    """

    def __init__(
        self,
        dataset: BaseDataset,
        *,
        as_stills: bool = False,
        file_pattern: FilePattern | None = None,
    ) -> None:
        """Read the description of every item once.

        Args:
            dataset: Data set to index.
            as_stills: Whether items without video information are stills.
            file_pattern: Reads video and frame from the paths of the images.

        Raises:
            ValueError: If an item has no video information, a video has a frame twice,
                or two folders hold videos of one name.
        """
        self.dataset = dataset
        videos: dict[Any, list] = defaultdict(list)
        roots: dict[Any, str] = {}
        for idx in range(len(dataset)):
            item = dataset.get_data_info(idx)
            images = item['images'] if 'images' in item else [item]
            for position, image in enumerate(images):
                video_id = image.get('video_id', item.get('video_id'))
                frame_id = image.get('frame_id')
                if file_pattern is not None:
                    video_id, frame_id = file_pattern.parse(image['img_path'])
                    root = file_pattern.get_root(image['img_path'])
                    if roots.setdefault(video_id, root) != root:
                        raise ValueError(_name_clash(video_id, roots[video_id], root))
                elif video_id is None or frame_id is None:
                    self._check_still(image, as_stills)
                    video_id, frame_id = f'still_{image.get("img_id", idx)}', 0
                source = position if 'images' in item else -1
                videos[video_id].append((frame_id, idx, source, *self._describe(image)))
        if file_pattern is not None:
            videos = file_pattern.split_videos(videos)
        self._flatten(videos)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frame_ids)

    def get_info(self, index: int) -> dict:
        """Return the data set's description of a frame, as a new dict.

        It always contains video_id, frame_id, video_name and is_labelled.
        """
        source, position = self._sources[index]
        info = self.dataset.get_data_info(int(source))
        if position >= 0:
            info = info['images'][position]
        video = self.video_of(index)
        video_id = self.video_ids[video]
        info['video_id'] = video_id
        info['frame_id'] = int(self.frame_ids[index])
        info.setdefault('video_name', str(video_id))
        info['is_labelled'] = bool(self.is_labelled[index])
        return info

    def video_of(self, index: int) -> int:
        """Return the position of a frame's video in `spans`."""
        return int(np.searchsorted(self._stops, index, side='right'))

    def find(self, video: int, frame_id: int) -> int | None:
        """Return the index of a frame of a video, or None if it does not exist."""
        start, stop = self.spans[video]
        index = start + int(np.searchsorted(self.frame_ids[start:stop], frame_id))
        if index < stop and self.frame_ids[index] == frame_id:
            return index
        return None

    def _check_still(self, image: dict, as_stills: bool) -> None:
        if not as_stills:
            raise ValueError(
                f'{type(self.dataset).__name__} has no video information: '
                f'{image.get("img_path")} has no video_id and frame_id. If these '
                'are single images, set as_stills=True (then k = i). If the file names '
                'contain the video and the frame number, set file_pattern'
            )

    @staticmethod
    def _describe(image: dict) -> tuple[bool, int, int]:
        is_labelled = image.get('is_labelled', image.get('is_vid_train_frame'))
        if is_labelled is None:
            seg_map_path = image.get('seg_map_path')
            is_labelled = seg_map_path is None or exists(seg_map_path)
        instances = image.get('instances', ())
        num_instances = sum(not item.get('ignore_flag', 0) for item in instances)
        min_side = min(image.get('height', -1), image.get('width', -1))
        return bool(is_labelled), num_instances, min_side

    def _flatten(self, videos: dict) -> None:
        self.video_ids = list(videos)
        self.spans: list[tuple[int, int]] = []
        rows: list[tuple] = []
        for video_id, frames in videos.items():
            frames.sort()
            ids = [frame[0] for frame in frames]
            repeated = sorted({a for a, b in zip(ids, ids[1:], strict=False) if a == b})
            if repeated:
                source = getattr(self.dataset, 'ann_file', None) or type(self.dataset)
                raise ValueError(
                    f'video {video_id!r} of {source} has frames twice: {repeated}'
                )
            self.spans.append((len(rows), len(rows) + len(frames)))
            rows.extend(frames)
        table = np.array(rows, dtype=np.int64).reshape(-1, 6)
        self.frame_ids = table[:, 0]
        self._sources = table[:, 1:3]
        self.is_labelled = table[:, 3].astype(bool)
        self.num_instances = table[:, 4]
        self.min_sides = table[:, 5]
        self._stops = np.array([stop for _, stop in self.spans], dtype=np.int64)


def _name_clash(video_id: str, *roots: str) -> str:
    return (
        f'there are two videos {video_id!r}, in {roots[0]!r} and {roots[1]!r}: '
        'set a file_pattern whose group video matches more of the path, such as '
        r"'(?P<video>[^/]+/[^/]+)/(?P<frame>\d+)'"
    )
