"""Read frame pairs with known flow from files."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.registry import DATASETS
from mmengine.structures import BaseDataElement, PixelData
from torch.utils.data import Dataset

from .flo import read_flo
from .geometric import FlowAugmentation

UNKNOWN = 1e9  # Middlebury marks unknown flow by larger values
CUR, KEY, FLOW = '_img1', '_img2', '_flow.flo'


@DATASETS.register_module()
class FlowPairDataset(Dataset):
    """Read frame pairs and the flow between them.

    The flow of a file lives on its first image and points into the second one. So the
    first image is ``cur`` and the second one ``key``, whichever was taken first.

    An item is ``dict(inputs=dict(cur, key), data_samples)``: BGR uint8 images
    (3, H, W) and a data element with ``gt_flow.data`` (2, H, W) in pixels, NaN where
    it is unknown, and ``img_path``, ``key_path``, ``img_shape`` in its metainfo.

    Args:
        data_root: Folder of the files.
        pairs: Names (cur, key, flow) of each pair, relative to ``data_root``. None
            reads all ``NAME_img1.*``, ``NAME_img2.*``, ``NAME_flow.flo``, by name.
        augmentation: Arguments of :class:`FlowAugmentation`, for training.

    Raises:
        FileNotFoundError: If there is no pair, or a file is missing.
        ValueError: If an entry of ``pairs`` is not a triple.
    """

    def __init__(
        self,
        data_root: str,
        *,
        pairs: Sequence[Sequence[str]] | None = None,
        augmentation: dict | None = None,
    ) -> None:
        self.data_root = Path(data_root)
        if pairs is None:
            self.pairs = self._find()
        else:
            self.pairs = []
            for names in pairs:
                if len(names) != 3:
                    raise ValueError(f'pairs must be (cur, key, flow), got {names}')
                cur, key, flow = (self.data_root / name for name in names)
                self.pairs.append((cur, key, flow))
        self._augment = augmentation and FlowAugmentation(**augmentation)

    def _find(self) -> list[tuple[Path, Path, Path]]:
        """Find the pairs of the folder, in the order of their names."""
        names = {p.name: p for p in sorted(self.data_root.glob('*'))}
        pairs = []
        for path in names.values():
            stem, mark, suffix = path.name.rpartition(CUR)
            if not mark or not suffix.startswith('.'):
                continue
            key, flow = f'{stem}{KEY}{suffix}', f'{stem}{FLOW}'
            missing = [name for name in (key, flow) if name not in names]
            if missing:
                raise FileNotFoundError(f'{path} has no {" and no ".join(missing)}')
            pairs.append((path, names[key], names[flow]))
        if not pairs:
            raise FileNotFoundError(
                f'data_root must contain files NAME{CUR}.*, NAME{KEY}.*, NAME{FLOW}; '
                f'there are none in {self.data_root}'
            )
        return pairs

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pairs)

    @property
    def metainfo(self) -> dict:
        """An empty dict: there are no classes."""
        return {}

    def full_init(self) -> None:
        """Do nothing: the files are listed when the data set is built."""

    def __getitem__(self, index: int) -> dict:
        """Read a pair and its flow.

        Raises:
            FileNotFoundError: If an image cannot be read.
            ValueError: If images and flow differ in size.
        """
        *paths, flow_path = self.pairs[index]
        cur, key = (_read_image(path) for path in paths)
        flow = read_flo(flow_path)
        if not cur.shape[:2] == key.shape[:2] == flow.shape[:2]:
            raise ValueError(
                f'cur, key and flow of {paths[0]} must have one size, got '
                f'{cur.shape[:2]}, {key.shape[:2]}, {flow.shape[:2]}'
            )
        is_known = (np.abs(flow) <= UNKNOWN).all(axis=-1, keepdims=True)
        flow = np.where(is_known, flow, np.float32(np.nan))
        if self._augment:
            cur, key, flow = self._augment(cur, key, flow)
        sample = BaseDataElement(
            metainfo=dict(
                img_path=str(paths[0]),
                key_path=str(paths[1]),
                img_shape=tuple(flow.shape[:2]),
            )
        )
        sample.gt_flow = PixelData(data=_to_tensor(flow))  # (2, H, W)
        inputs = dict(cur=_to_tensor(cur), key=_to_tensor(key))
        return dict(inputs=inputs, data_samples=sample)


def _read_image(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(f'image {path} does not exist or is not an image')
    return image


def _to_tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
