"""Draw predictions on the frames of videos."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import Any

import mmcv
import numpy as np
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.visualization import DetLocalVisualizer
from mmengine.fileio import get
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from dff.files import write_atomically
from dff.visualization import draw_caption


@HOOKS.register_module()
class VideoVisualizationHook(DetVisualizationHook):
    """Write ``out_dir/VIDEO/FRAME`` for every tested frame.

    The stock hook saves by the frame's base name, so that videos overwrite each other.
    Key frames are marked, others show their offset i - k. Works with the visualisers
    of mmdet and mmseg.

    Args:
        out_dir: Where the frames go, as given; None writes none.
        draw_gt: Draw the annotation beside the prediction.
        kwargs: As for mmdet's ``DetVisualizationHook``, without ``test_out_dir``.
    """

    def __init__(
        self, out_dir: str | None = None, *, draw_gt: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.out_dir = out_dir
        self.draw_gt = draw_gt

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[BaseDataElement],
    ) -> None:
        """Draw the frames of a batch."""
        if not self.draw:
            return
        for sample in outputs:
            self._test_index += 1
            content = get(sample.img_path, backend_args=self.backend_args)
            image = mmcv.imfrombytes(content) if content else None
            if image is None:
                raise ValueError(f'frame {sample.img_path} is no readable image')
            image = mark_key_frame(image, sample.metainfo)
            self._draw(np.ascontiguousarray(image[..., ::-1]), sample)

    def _draw(self, image: np.ndarray, sample: BaseDataElement) -> None:
        target = self.out_dir and Path(self.out_dir, frame_name(sample.metainfo))
        options = {}
        if isinstance(self._visualizer, DetLocalVisualizer):
            options['pred_score_thr'] = self.score_thr
        with write_atomically(target) if target else nullcontext() as temporary:
            self._visualizer.add_datasample(
                str(frame_name(sample.metainfo)) if self.show else 'test_img',
                image,
                data_sample=sample,
                draw_gt=self.draw_gt,
                show=self.show,
                wait_time=self.wait_time,
                out_file=temporary and str(temporary),
                step=self._test_index,
                **options,
            )


def frame_name(metainfo: dict) -> PurePosixPath:
    """Name a frame's picture: the video, then the file name of the frame.

    In a test by offset, where a frame comes several times, the offset is added.

    Args:
        metainfo: ``img_path``, and ``video_name`` or ``video_id`` where known; the
            folder of the image stands in for the video.
    """
    path = PurePosixPath(metainfo['img_path'])
    video = metainfo.get('video_name', metainfo.get('video_id', path.parent.name))
    parts = [p for p in PurePosixPath(str(video)).parts if p not in ('/', '..')]
    name = path.name
    if 'is_same' in metainfo:  # a pair of the per-offset protocol
        offset = metainfo.get('asked_offset', metainfo['offset'])
        name = f'{path.stem}_offset{offset}{path.suffix}'
    return PurePosixPath(*parts, name)


def mark_key_frame(image: np.ndarray, metainfo: dict) -> np.ndarray:
    """Say on a frame whether it is a key frame, or how far its key frame is.

    Args:
        image: BGR, (H, W, 3), uint8; left as it is.
        metainfo: With ``is_key_frame`` and ``offset``; without, nothing is drawn.
    """
    is_key = metainfo.get('is_key_frame')
    if is_key is None:
        return image
    text = 'KEY' if is_key else f'key + {metainfo.get("offset", "?")}'
    return draw_caption(image, text, is_key=is_key)
