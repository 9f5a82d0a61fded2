"""Frame pairs of videos with estimated flow, to pre-train a flow network."""

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from mmengine.registry import DATASETS
from mmengine.structures import BaseDataElement, PixelData
from torch.utils.data import Dataset

from dff.datasets.file_pattern import FilePattern
from dff.datasets.source_dataset import build_source_dataset
from dff.datasets.video_index import VideoIndex


@DATASETS.register_module()
class ChainedFlowDataset(Dataset):
    """Pairs (k, i) with a flow composed of classical frame-to-frame flows.

    OpenCV's DIS is reliable over one frame. Over nine frames it loses small objects
    that move by their own width. So M_{i->k} is composed step by step:
    M_{i->j-1}(p) = M_{i->j}(p) + M_{j->j-1}(p + M_{i->j}(p)). Any video can be used,
    because no labels are read. The flow of occluded pixels is wrong.

    An item is ``dict(inputs=dict(cur, key), data_samples)``: BGR uint8 images
    (3, H, W) of ``crop_size`` and a data element with ``gt_flow.data`` (2, H, W) in
    pixels of the crop. Crops are scaled, flipped and cut at random.

    Args:
        dataset: Config of a data set of videos, as for ``VideoPairDataset``.
        crop_size: (H, W) of the items; both frames are cropped at the same position.
        offset_range: Smallest and largest i - k, clamped to the video's start.
        ratio_range: Range of the random scale.
        working_scale: Fraction of full size at which DIS runs.
        file_pattern: As for ``VideoPairDataset``. Videos of one frame are excluded.

    Raises:
        FileNotFoundError: If a frame cannot be read.
        ValueError: If a range is invalid, or no video has two frames.
    """

    def __init__(
        self,
        dataset: dict,
        *,
        crop_size: tuple[int, int] = (384, 512),
        offset_range: tuple[int, int] = (0, 9),
        ratio_range: tuple[float, float] = (0.8, 1.6),
        working_scale: float = 0.5,
        file_pattern: str | Mapping | None = None,
    ) -> None:
        if not 0 <= offset_range[0] <= offset_range[1]:
            raise ValueError(
                f'offset_range must be 0 <= low <= high, got {offset_range}'
            )
        if not 0 < ratio_range[0] <= ratio_range[1]:
            raise ValueError(f'ratio_range must be 0 < low <= high, got {ratio_range}')
        self.dataset, _ = build_source_dataset(dataset)
        pattern = FilePattern.build(file_pattern) if file_pattern else None
        self.index = VideoIndex(self.dataset, file_pattern=pattern)
        self.frames = [
            index
            for start, stop in self.index.spans
            for index in range(start, stop)
            if stop - start > 1
        ]
        if not self.frames:
            raise ValueError(f'{self.dataset} has no video of two frames or more')
        self.crop_size = tuple(crop_size)
        self.offset_range = tuple(offset_range)
        self.ratio_range = (ratio_range[0], ratio_range[1])
        self.working_scale = working_scale
        self._steps: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)

    @property
    def metainfo(self) -> dict:
        """An empty dict: classes are not read."""
        return {}

    def full_init(self) -> None:
        """Do nothing: everything is read when it is built."""

    def __getitem__(self, idx: int) -> dict:
        """Draw k for a frame i, and return the pair with its flow."""
        cur = self.frames[idx]
        start, _ = self.index.spans[self.index.video_of(cur)]
        low, high = self.offset_range
        key = max(start, cur - np.random.randint(low, high + 1))
        images = [self._read(cur), self._read(key)]
        flow = self._chain(cur, key, images[0].shape[:2])
        images, flow = self._augment(images, flow)
        inputs = [
            torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
            for image in images
        ]
        target = torch.from_numpy(np.ascontiguousarray(flow.transpose(2, 0, 1)))
        sample = BaseDataElement(metainfo=dict(img_shape=self.crop_size))
        sample.gt_flow = PixelData(data=target)
        return dict(inputs=dict(cur=inputs[0], key=inputs[1]), data_samples=sample)

    def _read(self, index: int) -> np.ndarray:
        path = self.index.get_info(index)['img_path']
        image = cv2.imread(path)
        if image is None:
            raise FileNotFoundError(f'frame {path} does not exist or is not an image')
        return image

    def _step(self, index: int) -> np.ndarray:
        """Return the flow (h, w, 2) from a frame to the one before, at DIS size."""
        if index not in self._steps:
            grays = [
                cv2.resize(
                    cv2.cvtColor(self._read(i), cv2.COLOR_BGR2GRAY),
                    None,
                    fx=self.working_scale,
                    fy=self.working_scale,
                    interpolation=cv2.INTER_AREA,
                )
                for i in (index, index - 1)
            ]
            dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            self._steps[index] = dis.calc(*grays, None).astype(np.float16)
        return self._steps[index].astype(np.float32)

    def _chain(self, cur: int, key: int, size: tuple[int, int]) -> np.ndarray:
        """Compose the flow (H, W, 2) from ``cur`` to ``key`` in full-size pixels."""
        height, width = size
        if cur == key:
            return np.zeros((height, width, 2), np.float32)
        flow = self._step(cur)
        h, w = flow.shape[:2]
        xs, ys = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype='f4'))
        for index in range(cur - 1, key, -1):
            step = self._step(index)
            flow = flow + cv2.remap(
                step,
                xs + flow[..., 0],
                ys + flow[..., 1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        return flow * np.array([width / w, height / h], np.float32)

    def _augment(
        self, images: list[np.ndarray], flow: np.ndarray
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Scale, crop and flip both frames and the flow in the same way."""
        height, width = self.crop_size
        ratio = np.random.uniform(*self.ratio_range)
        ratio = max(ratio, height / flow.shape[0], width / flow.shape[1])
        size = [max(round(side * ratio), low) for side, low in
                zip(flow.shape[:2], (height, width), strict=True)]  # fmt: skip
        scales = [size[1] / flow.shape[1], size[0] / flow.shape[0]]
        top = np.random.randint(size[0] - height + 1)
        left = np.random.randint(size[1] - width + 1)
        cut = slice(top, top + height), slice(left, left + width)
        images = [cv2.resize(image, size[::-1])[cut] for image in images]
        flow = cv2.resize(flow, size[::-1])[cut] * np.array(scales, np.float32)
        if np.random.rand() < 0.5:
            images = [image[:, ::-1] for image in images]
            flow = flow[:, ::-1] * np.array([-1, 1], np.float32)
        return images, flow
