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
    """Write an image ``out_dir/VIDEO/FRAME`` for every tested frame.

    MMDetection's hook names images by the base name of the frame, so that videos
    overwrite each other. Key frames are marked; other frames show their offset i - k.
    The hook works with the visualisers of MMDetection and MMSegmentation.

    Args:
        out_dir: Folder for the images; None writes none.
        draw_gt: Whether to draw the annotation beside the prediction.
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
        """Draw the predictions on the frames of a batch.

        Raises:
            ValueError: If a frame cannot be decoded.
        """
        if not self.draw:
            return
        for sample in outputs:
            self._test_index += 1
            content = get(sample.img_path, backend_args=self.backend_args)
            image = mmcv.imfrombytes(content) if content else None
            if image is None:
                raise ValueError(f'frame {sample.img_path} is not a readable image')
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
    """Return the path VIDEO/FRAME of the image of a frame.

    A per-offset test delivers a frame several times, so its offset is added.

    Args:
        metainfo: Metainfo of the frame: ``img_path``, and ``video_name`` or
            ``video_id`` if known. Otherwise the folder of the image names the video.
    """
    path = PurePosixPath(metainfo['img_path'])
    video = metainfo.get('video_name', metainfo.get('video_id', path.parent.name))
    parts = [p for p in PurePosixPath(str(video)).parts if p not in ('/', '..')]
    name = path.name
    if 'asked_offset' in metainfo:  # a pair of the per-offset protocol
        name = f'{path.stem}_offset{metainfo["asked_offset"]}{path.suffix}'
    return PurePosixPath(*parts, name)


def mark_key_frame(image: np.ndarray, metainfo: dict) -> np.ndarray:
    """Write on a copy of a frame that it is a key frame, or its offset.

    Args:
        image: (H, W, 3) BGR uint8. It is not changed.
        metainfo: Metainfo of the frame with ``is_key_frame`` and ``offset``. Without
            them, nothing is drawn.
    """
    is_key = metainfo.get('is_key_frame')
    if is_key is None:
        return image
    text = 'KEY' if is_key else f'key + {metainfo.get("offset", "?")}'
    return draw_caption(image, text, is_key=is_key)
