"""Draw results on the frames of a video."""

from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from .boxes import Color, draw_boxes
from .caption import draw_caption, draw_legend
from .flow import overlay_flow
from .label_map import blend_labels

LEAST_COLORS = 64  # for labels and tracks without a palette


class VideoVisualizer:
    """Draw the results of a video frame by frame: boxes, or labels with a legend.

    A sample with `pred_sem_seg` is drawn as labels, any other one as boxes.

    Args:
        dataset_meta: `classes` and `palette`, as in the metadata of a checkpoint.
        score_thr: Lowest score of the boxes to draw.
        opacity: Opacity of the colours of labels, 0 (invisible) to 1.

    Raises:
        ValueError: If `opacity` is out of range.
    """

    def __init__(
        self,
        dataset_meta: dict | None = None,
        *,
        score_thr: float = 0.3,
        opacity: float = 0.5,
    ) -> None:
        if not 0 <= opacity <= 1:
            raise ValueError(f'opacity must be in [0, 1], got {opacity}')
        self.score_thr, self.opacity = score_thr, opacity
        meta = dict(dataset_meta or {})
        self.classes, self.palette = meta.get('classes'), meta.get('palette')
        self._colors = _box_palette(self.classes, self.palette)
        self._tracks = _box_palette(None, None)

    def draw(
        self,
        image: np.ndarray,
        sample: BaseDataElement,
        *,
        flow: np.ndarray | None = None,
        seconds: float | None = None,
        title: str | None = None,
        mark_key: bool = True,
    ) -> np.ndarray:
        """Draw one frame.

        Args:
            image: The frame (H, W, 3).
            sample: Its predictions. The caption contains `frame_id`, `is_key_frame`
                and `offset` of the metainfo.
            flow: (H, W, 2) in pixels, drawn under boxes and labels; or None.
            seconds: Time for the frame, added to the caption; or None.
            title: Beginning of the caption.
            mark_key: Whether to mark key frames.

        Returns:
            The drawn frame (H, W, 3), for labels with a legend below it.

        Raises:
            ValueError: If labels are drawn without classes and palette.
        """
        if flow is not None:
            image = overlay_flow(image, flow)
        meta = sample.metainfo
        if not mark_key:
            meta.pop('is_key_frame', None)
        is_key = meta.get('is_key_frame', False)
        caption = _caption(meta, seconds, title=title)
        drawn = draw_caption(self.draw_results(image, sample), caption, is_key=is_key)
        return self.add_legend(drawn, sample)

    def draw_results(self, image: np.ndarray, sample: BaseDataElement) -> np.ndarray:
        """Draw only the boxes or labels of a sample on an image (H, W, 3)."""
        if 'pred_sem_seg' in sample:
            return self._draw_labels(image, sample)
        return self._draw_boxes(image, sample)

    def add_legend(self, image: np.ndarray, sample: BaseDataElement) -> np.ndarray:
        """Add a legend below an image (H, W, 3) if it shows labels."""
        if 'pred_sem_seg' not in sample or not self.classes or not self.palette:
            return image
        return draw_legend(image, self.classes, self.palette)

    def _draw_boxes(self, image: np.ndarray, sample: BaseDataElement) -> np.ndarray:
        if 'pred_panoptic_seg' in sample:
            return self._draw_panoptic(image, sample)
        if 'pred_instances' not in sample:
            return image.copy()
        instances = sample.pred_instances
        return draw_boxes(
            image,
            instances,
            classes=self.classes,
            palette=self._tracks if 'instances_id' in instances else self._colors,
            score_thr=self.score_thr,
        )

    def _draw_panoptic(self, image: np.ndarray, sample: BaseDataElement) -> np.ndarray:
        from mmdet.visualization import DetLocalVisualizer

        visualizer = DetLocalVisualizer(line_width=2)
        palette = 'random' if self.palette is None else self.palette
        visualizer.dataset_meta = dict(classes=self.classes, palette=palette)
        rgb = np.ascontiguousarray(image[..., ::-1])
        visualizer.add_datasample(
            'frame', rgb, sample, draw_gt=False, pred_score_thr=self.score_thr
        )
        return np.ascontiguousarray(visualizer.get_image()[..., ::-1])

    def _draw_labels(self, image: np.ndarray, sample: BaseDataElement) -> np.ndarray:
        if not (self.classes and self.palette):
            raise ValueError(
                'dataset_meta must hold classes and palette to draw labels, got '
                f'{self.classes} and {self.palette}'
            )
        labels = sample.pred_sem_seg.data.squeeze(0).cpu().numpy()
        return blend_labels(image, labels, self.palette, opacity=self.opacity)


def _box_palette(classes: Any, palette: Any) -> list[Color]:
    """Return BGR colours of classes, those of mmdet where the palette is no list."""
    from mmdet.visualization.palette import get_palette

    count = len(classes or ())
    if not isinstance(palette, list) or not palette or len(palette) < count:
        name = palette if isinstance(palette, str) else 'random'
        palette = get_palette(name, max(count, LEAST_COLORS))
    return [(int(b), int(g), int(r)) for r, g, b in palette]


def _caption(meta: dict, seconds: float | None, *, title: str | None) -> str:
    parts = [] if title is None else [title]
    parts += [f'frame {meta["frame_id"]}'] if 'frame_id' in meta else []
    if 'is_key_frame' in meta:
        is_key = meta['is_key_frame']
        parts.append('KEY' if is_key else f'key + {meta.get("offset", "?")}')
    if seconds is not None:
        parts.append(f'{seconds * 1e3:.0f} ms')
    return ' | '.join(parts)
