"""Write a CocoVID JSON file: COCO's lists and `videos`.

An image has the `video_id` of its video, a `frame_id` (0-based, consecutive), and
`is_labelled`. An image without boxes is either not annotated (`is_labelled` is False),
or annotated and empty (True).
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dff.files import write_atomically

JPEG_QUALITY = 95
MIN_BOX_SIDE = 1.0  # pixels; MMDetection's data sets drop smaller boxes


def write_image(image: np.ndarray, path: str | Path) -> None:
    """Write an image atomically, in the format of the suffix of `path`.

    Args:
        image: (H, W, 3) BGR or (H, W), uint8.
        path: File to write. Its folder is created if it does not exist.

    Raises:
        OSError: If the image cannot be written.
    """
    is_jpeg = Path(path).suffix.lower() in ('.jpg', '.jpeg')
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if is_jpeg else []
    with write_atomically(path) as temporary:
        if not cv2.imwrite(str(temporary), image, options):
            raise OSError(f'cannot write {path}')


class CocoVIDWriter:
    """Collect videos, images and boxes, then write them to one file.

    Boxes are clipped to their image. A box with a side below one pixel after that is
    dropped. Clipped and dropped boxes are counted, and the first of each is named.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        """Start an empty set.

        Args:
            classes: Class names in the order of the labels. Category ids start at 1.

        Raises:
            ValueError: If there is no class, or two have the same name.
        """
        if not classes or len(set(classes)) != len(classes):
            raise ValueError(
                f'classes must be unique names, at least one, got {list(classes)}'
            )
        self.classes = tuple(classes)
        self.videos: list[dict] = []
        self.images: list[dict] = []
        self.annotations: list[dict] = []
        self.counts: Counter[str] = Counter()
        self.first_sources: dict[str, str] = {}

    def add_video(self, name: str) -> int:
        """Add a video and return its id."""
        self.videos.append(dict(id=len(self.videos) + 1, name=name))
        return self.videos[-1]['id']

    def add_image(
        self,
        file_name: str,
        size: tuple[int, int],
        *,
        video_id: int | None = None,
        frame_id: int = 0,
        is_labelled: bool = True,
    ) -> int:
        """Add a frame and return its image id.

        Args:
            file_name: Path relative to the data root.
            size: (width, height) in pixels.
            video_id: Return value of `add_video`; None for a still.
            frame_id: 0-based position in the video.
            is_labelled: Whether the frame is annotated.
        """
        image: dict[str, Any] = dict(
            id=len(self.images) + 1,
            file_name=file_name,
            width=int(size[0]),
            height=int(size[1]),
        )
        if video_id is not None:
            image.update(
                video_id=video_id, frame_id=int(frame_id), is_labelled=bool(is_labelled)
            )
        self.images.append(image)
        return image['id']

    def add_box(
        self,
        image_id: int,
        box: Sequence[float],
        *,
        label: int,
        source: str,
        instance_id: int = -1,
        is_ignored: bool = False,
    ) -> bool:
        """Add a box, clipped to the image.

        Args:
            image_id: Return value of `add_image`.
            box: (x1, y1, x2, y2) in pixels, x2 and y2 exclusive.
            label: Index into `classes`.
            source: File, and line, of the box, for messages.
            instance_id: Number of the object in the video.
            is_ignored: Whether metrics and losses ignore the box (`iscrowd`).

        Returns:
            Whether the box was added and not dropped.

        Raises:
            ValueError: If the box is not finite.
        """
        if not all(math.isfinite(value) for value in box):
            raise ValueError(f'{source}: a box must be finite, got {tuple(box)}')
        image = self.images[image_id - 1]
        x1, x2 = (min(max(float(v), 0.0), image['width']) for v in box[0::2])
        y1, y2 = (min(max(float(v), 0.0), image['height']) for v in box[1::2])
        if x2 - x1 < MIN_BOX_SIDE or y2 - y1 < MIN_BOX_SIDE:
            self.count('dropped', source)
            return False
        if (x1, y1, x2, y2) != tuple(float(v) for v in box):
            self.count('clipped', source)
        self.annotations.append(
            dict(
                id=len(self.annotations) + 1,
                image_id=image_id,
                video_id=image.get('video_id', -1),
                category_id=label + 1,
                bbox=[x1, y1, x2 - x1, y2 - y1],
                area=(x2 - x1) * (y2 - y1),
                iscrowd=int(is_ignored),
                instance_id=instance_id,
            )
        )
        return True

    def write(self, path: str | Path) -> Path:
        """Write the file atomically, and return its path."""
        categories = [dict(id=i + 1, name=n) for i, n in enumerate(self.classes)]
        content = dict(
            videos=self.videos,
            images=self.images,
            annotations=self.annotations,
            categories=categories,
        )
        with write_atomically(path) as temporary, open(temporary, 'w') as file:
            json.dump(content, file)
        return Path(path)

    def report(self) -> str:
        """Return the numbers of collected, clipped and dropped items as text."""
        lines = [
            f'{len(self.videos)} videos, {len(self.images)} images, '
            f'{len(self.annotations)} boxes'
        ]
        reasons = dict(
            clipped='boxes extended beyond their image and were clipped',
            dropped='boxes with less than one pixel inside their image were dropped',
            other='objects of other classes were dropped',
            empty='images without a remaining box were dropped',
            size='images have another size than annotated; that of the file is used',
        )
        for kind, count in self.counts.items():
            first = self.first_sources[kind]
            lines.append(f'warning: {count} {reasons[kind]}; first: {first}')
        return '\n'.join(lines)

    def count(self, kind: str, source: str) -> None:
        """Count an event for `report`, and remember the source of the first one."""
        self.counts[kind] += 1
        self.first_sources.setdefault(kind, source)
