"""Videos with label maps in folders VIDEO/FRAME."""

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
    """Read frames `images/VIDEO/FRAME.jpg` and label maps `labels/VIDEO/FRAME.png`.

    Any subset of the frames may have a label map. Its pixels are the numbers of the
    classes, or 255 for void.

    Attributes:
        FILE_PATTERN: Default `file_pattern` of `VideoPairDataset` for this data set.
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
            metainfo: `dict(classes=(...))`, and optionally `palette`.
            videos: Names of the videos to read, relative to the folder of images;
                wildcards are allowed.
            data_prefix: Folders to use instead of `images` and `labels`.
            img_suffix: Suffixes of the images, in lower case.
            kwargs: As for mmseg's `BaseSegDataset`; `ann_file` is not used.

        Raises:
            ValueError: If `metainfo` has no classes, or `ann_file` is set.
        """
        if not metainfo.get('classes'):
            raise ValueError(
                "metainfo must name the classes, such as dict(classes=('background', "
                f"'road')), got {dict(metainfo)}"
            )
        if kwargs.get('ann_file'):
            raise ValueError(
                f'ann_file is not used, got {kwargs["ann_file"]!r}; use videos instead'
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
        """List the frames of the selected videos.

        Raises:
            FileNotFoundError: If the folder of images does not exist.
            ValueError: If there is no image of one of the `videos`.
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
