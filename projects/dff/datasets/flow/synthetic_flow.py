"""Make frame pairs with exact flow from still images."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.registry import DATASETS
from mmengine.structures import BaseDataElement, PixelData
from torch.utils.data import Dataset

from dff.datasets.random_displacement import (
    OBJECTS,
    RandomMotion,
    draw_part,
    draw_shape,
    grid,
    lay_over,
    sample,
)

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp')


@DATASETS.register_module()
class SyntheticMotion(Dataset):
    """Move still images, to train a flow network without flow data.

    As in Flying Chairs (FlowNet), pieces of other images move over a background image
    and occlude each other. The motion of a piece is its own motion after that of the
    background. The flow of every pixel of ``cur`` into ``key`` is known exactly.

    An item is ``dict(inputs=dict(cur, key), data_samples)``: BGR uint8 images
    (3, H, W) and a data element with ``gt_flow.data`` (2, H, W) in pixels and
    ``is_hidden.data`` (1, H, W), true where ``key`` does not show the pixel. With
    ``label_dir`` it also has ``gt_sem_seg.data`` (1, H, W), the labels of ``cur``.

    Args:
        img_dir: Folder of images, searched recursively.
        crop_size: (H, W) of the items.
        label_dir: Folder of ``.png`` label maps with the same relative names.
        part_classes: Labels of objects, such as cars. With probability 1/2 a piece is
            such an object instead of a random shape.
        num_objects: Smallest and largest number of pieces.
        object_radius: Range of their mean radius, a fraction of the shorter side.
        ratio_range: Range of the random scale of the images.
        background: Arguments of :class:`RandomMotion` for the background.
        objects: Arguments of :class:`RandomMotion` for the pieces. They override
            ``OBJECTS``.

    Raises:
        FileNotFoundError: If there is no image, or an image has no label map.
        ValueError: If a range is invalid, or ``part_classes`` lack ``label_dir``.
    """

    def __init__(
        self,
        img_dir: str,
        *,
        crop_size: tuple[int, int] = (256, 320),
        label_dir: str | None = None,
        part_classes: Sequence[int] = (),
        num_objects: tuple[int, int] = (0, 6),
        object_radius: tuple[float, float] = (0.05, 0.3),
        ratio_range: tuple[float, float] = (0.8, 1.6),
        background: dict | None = None,
        objects: dict | None = None,
    ) -> None:
        if not 0 <= num_objects[0] <= num_objects[1]:
            raise ValueError(f'num_objects must be 0 <= low <= high, got {num_objects}')
        spans = dict(ratio_range=ratio_range, object_radius=object_radius)
        for name, span in spans.items():
            if not 0 < span[0] <= span[1]:
                raise ValueError(f'{name} must be 0 < low <= high, got {span}')
        self.img_dir = Path(img_dir)
        self.label_dir = None if label_dir is None else Path(label_dir)
        files = self.img_dir.rglob('*')
        self.paths = sorted(p for p in files if p.suffix.lower() in IMAGE_SUFFIXES)
        if not self.paths:
            raise FileNotFoundError(
                f'img_dir must contain images {IMAGE_SUFFIXES}; there are none in '
                f'{img_dir}'
            )
        if part_classes and label_dir is None:
            raise ValueError(
                f'part_classes {list(part_classes)} need label maps: set label_dir'
            )
        self.part_classes = list(part_classes)
        self.crop_size = (crop_size[0], crop_size[1])
        self.num_objects = (num_objects[0], num_objects[1])
        self.object_radius = (object_radius[0], object_radius[1])
        self.ratio_range = (ratio_range[0], ratio_range[1])
        self.background = RandomMotion(**(background or {}))
        self.objects = RandomMotion(**{**OBJECTS, **(objects or {})})

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @property
    def metainfo(self) -> dict:
        """An empty dict: there are no classes."""
        return {}

    def full_init(self) -> None:
        """Do nothing: everything is read when it is built."""

    def __getitem__(self, index: int) -> dict:
        """Make a pair with image ``index`` as background."""
        cur, labels = self._read(index)
        amount = np.random.uniform() ** 1.5  # most motion between frames is small
        moving = self.background.draw(self.crop_size, amount)
        flow = moving.flow(self.crop_size)
        key = sample(cur, moving.to_cur(self.crop_size))
        masks = []  # (visible in cur, covered in key) of each piece
        for _ in range(np.random.randint(self.num_objects[0], self.num_objects[1] + 1)):
            texture, piece_labels = self._read(np.random.randint(len(self)))
            mask = self._draw_mask(piece_labels)
            motion = moving.then(self.objects.draw(self.crop_size, amount))
            key, moved = lay_over(cur, key, texture, mask=mask, motion=motion)
            inside = mask.astype(bool)
            flow[inside] = motion.flow(self.crop_size)[inside]
            if labels is not None and piece_labels is not None:
                labels[inside] = piece_labels[inside]
            masks.append((inside, moved))
        if np.random.rand() < 0.5:
            flow = flow * np.array([-1, 1], np.float32)
            cur, key, flow = (array[:, ::-1] for array in (cur, key, flow))
            masks = [(a[:, ::-1], b[:, ::-1]) for a, b in masks]
            labels = None if labels is None else labels[:, ::-1]
        return self._pack(cur, key, flow, labels, is_hidden=_hidden(flow, masks))

    def _draw_mask(self, labels: np.ndarray | None) -> np.ndarray:
        """Draw the mask (H, W) of a piece: an object of its image, or a blob."""
        mask = None
        if labels is not None and self.part_classes and np.random.rand() < 0.5:
            mask = draw_part(labels, self.part_classes)
        if mask is None:
            mask = draw_shape(self.crop_size, radius=self.object_radius)
        return mask

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Read an image and its label map; scale and crop them at random."""
        path = self.paths[index]
        image = cv2.imread(str(path))
        if image is None:
            raise FileNotFoundError(f'{path} is not an image')
        height, width = self.crop_size
        ratio = np.random.uniform(*self.ratio_range)
        ratio = max(ratio, height / image.shape[0], width / image.shape[1])
        size = [max(round(side * ratio), low) for side, low in
                zip(image.shape[:2], self.crop_size, strict=True)]  # fmt: skip
        top = np.random.randint(size[0] - height + 1)
        left = np.random.randint(size[1] - width + 1)
        cut = slice(top, top + height), slice(left, left + width)
        image = cv2.resize(image, size[::-1])[cut].copy()
        if self.label_dir is None:
            return image, None
        path = (self.label_dir / path.relative_to(self.img_dir)).with_suffix('.png')
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if labels is None:
            raise FileNotFoundError(f'label map {path} does not exist')
        labels = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
        return image, labels[cut].copy()

    @staticmethod
    def _pack(cur, key, flow, labels, *, is_hidden) -> dict:
        def to_tensor(array: np.ndarray) -> torch.Tensor:
            array = array[..., None] if array.ndim == 2 else array
            return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))

        sample = BaseDataElement()
        sample.gt_flow = PixelData(data=to_tensor(flow))  # (2, H, W)
        sample.is_hidden = PixelData(data=to_tensor(is_hidden))  # (1, H, W)
        if labels is not None:
            sample.gt_sem_seg = PixelData(data=to_tensor(labels).long())
        return dict(
            inputs=dict(cur=to_tensor(cur), key=to_tensor(key)), data_samples=sample
        )


def _hidden(flow: np.ndarray, masks: list) -> np.ndarray:
    """Mark the pixels of ``cur`` that leave the image or are covered in ``key``."""
    size = flow.shape[:2]
    where = np.round(grid(size) + flow).astype(int)
    x, y = where[..., 0], where[..., 1]
    is_outside = (x < 0) | (y < 0) | (x >= size[1]) | (y >= size[0])
    x, y = np.clip(x, 0, size[1] - 1), np.clip(y, 0, size[0] - 1)
    owner, shown = np.zeros(size, int), np.zeros(size, int)
    for number, (inside, moved) in enumerate(masks, start=1):
        owner[inside], shown[moved] = number, number
    return is_outside | (shown[y, x] > owner)
