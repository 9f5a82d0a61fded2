"""Make a key frame for a still image by moving the image and objects in it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .random_displacement import OBJECTS, RandomMotion, draw_part, lay_over, sample


class StillMotion:
    """Make a frame pair from a single image and its labels.

    The key frame is the moved image. Objects cut out of other images by their labels
    can be pasted onto it, as in :class:`SyntheticMotion`. Each object has a motion of
    its own, too, and its labels are pasted into those of ``cur``.

    Args:
        part_classes: Labels of the objects to paste; none by default.
        num_parts: Smallest and largest number of objects per pair.
        parts: Arguments of :class:`RandomMotion` for the objects. They override
            ``OBJECTS``.
        background: Arguments of :class:`RandomMotion` for the image.

    Raises:
        ValueError: If ``num_parts`` is not 0 <= low <= high.
    """

    def __init__(
        self,
        *,
        part_classes: Sequence[int] = (),
        num_parts: tuple[int, int] = (0, 3),
        parts: dict | None = None,
        **background: Any,
    ) -> None:
        if not 0 <= num_parts[0] <= num_parts[1]:
            raise ValueError(f'num_parts must be 0 <= low <= high, got {num_parts}')
        self.part_classes, self.num_parts = list(part_classes), tuple(num_parts)
        self.background = RandomMotion(**background)
        self.parts = RandomMotion(**{**OBJECTS, **(parts or {})})

    def make_key(self, packed: dict, draw_other: Callable[[], dict | None]) -> Tensor:
        """Return the key frame (3, H, W) of an item; pasted objects change the item.

        Args:
            packed: ``inputs`` (3, H, W) uint8 and ``data_samples``, which need a
                ``gt_sem_seg`` (1, H, W) if ``part_classes`` are set.
            draw_other: Function that returns another item, or None.

        Raises:
            ValueError: If ``part_classes`` are set, but an item has no label map.
        """
        cur = _to_array(packed['inputs'])
        size = cur.shape[:2]
        amount = np.random.uniform() ** 2  # most motion between frames is small
        moving = self.background.draw(size, amount)
        key = sample(cur, moving.to_cur(size))
        if not self.part_classes:
            return _to_tensor(key)
        labels = _labels_of(packed).numpy()  # shares memory with the item
        for _ in range(np.random.randint(self.num_parts[0], self.num_parts[1] + 1)):
            other = draw_other()
            if other is None or other['inputs'].shape[1:] != size:
                continue
            other_labels = _labels_of(other).numpy()
            mask = draw_part(other_labels, self.part_classes)
            if mask is None:
                continue
            inside = mask.astype(bool)
            labels[inside] = other_labels[inside]
            motion = moving.then(self.parts.draw(size, amount))
            piece = _to_array(other['inputs'])
            key, _ = lay_over(cur, key, piece, mask=mask, motion=motion)
        packed['inputs'] = _to_tensor(cur)
        return _to_tensor(key)


def _labels_of(packed: dict) -> Tensor:
    labels: Any = packed['data_samples'].get('gt_sem_seg')
    if labels is None:
        raise ValueError(
            'part_classes need label maps, but the samples have no `gt_sem_seg`: '
            'remove part_classes, or load annotations'
        )
    return labels.data[0]  # (H, W)


def _to_array(image: Tensor) -> np.ndarray:
    return np.array(image.permute(1, 2, 0).numpy(), order='C')  # (H, W, 3)


def _to_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()  # (3, H, W)
