"""Videos with label maps, in folders of one's own."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from os.path import dirname, join, splitext

from mmengine.fileio import list_dir_or_file
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from .file_pattern import VIDEO_AND_FRAME

DEFAULT_PREFIX = dict(img_path='images', seg_map_path='labels')
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.ppm', '.tif', '.tiff', '.webp')


@DATASETS.register_module()
class VideoSegDataset(BaseSegDataset):
    """Frames `images/VIDEO/FRAME.jpg`, label maps `labels/VIDEO/FRAME.png`.

    Any subset of the frames may have a map. A pixel of a map is the number of its
    class, or 255 for void.

    Attributes:
        FILE_PATTERN: What `VideoPairDataset` takes unless told otherwise.
    """

    FILE_PATTERN = VIDEO_AND_FRAME

    def __init__(
        self,
        *,
        metainfo: Mapping,
        videos: str | Sequence[str] = '*',
        data_prefix: Mapping[str, str] | None = None,
        img_suffix: str | Sequence[str] = IMAGE_SUFFIXES,
        **kwargs,
    ) -> None:
        """Read the folders.

        Args:
            metainfo: `dict(classes=(...))`, with a `palette` if you like.
            videos: Names of the videos to take, below the folder of images;
                wildcards are allowed.
            data_prefix: Other folders than `images` and `labels`.
            img_suffix: Suffixes of images, in small letters.
            kwargs: As for mmseg's `BaseSegDataset`; `ann_file` is not used.
        """
        if not metainfo.get('classes'):
            raise ValueError(
                "metainfo must name the classes, such as dict(classes=('background', "
                f"'road')), got {dict(metainfo)}"
            )
        if kwargs.get('ann_file'):
            raise ValueError(
                f'ann_file is not used, got {kwargs["ann_file"]!r}; choose by videos'
            )
        self.videos = (videos,) if isinstance(videos, str) else tuple(videos)
        super().__init__(
            metainfo=dict(metainfo),
            data_prefix={**DEFAULT_PREFIX, **(data_prefix or {})},
            img_suffix=(img_suffix,)
            if isinstance(img_suffix, str)
            else tuple(img_suffix),
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """List the frames of the chosen videos.

        Raises:
            FileNotFoundError: There is no folder of images.
            ValueError: Nothing is there of one of the `videos`.
        """
        images, labels = self.data_prefix['img_path'], self.data_prefix['seg_map_path']
        items, seen = [], set()
        for name in sorted(list_dir_or_file(images, list_dir=False, recursive=True)):
            stem, suffix = splitext(name.replace('\\', '/'))
            wanted = {v for v in self.videos if fnmatchcase(dirname(stem), v)}
            if not wanted or suffix.lower() not in self.img_suffix:
                continue
            seen |= wanted
            items.append(
                dict(
                    img_path=join(images, name),
                    seg_map_path=join(labels, stem + self.seg_map_suffix),
                    label_map=self.label_map,
                    reduce_zero_label=self.reduce_zero_label,
                    seg_fields=[],
                )
            )
        if missing := [video for video in self.videos if video not in seen]:
            raise ValueError(f'{images} has no images {self.img_suffix} of {missing}')
        return items
