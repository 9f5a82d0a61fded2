"""Pictures of video results: boxes, key-frame marks, flow colours, MP4 files.

Images are BGR uint8 (H, W, 3) throughout, as OpenCV reads and writes them.
"""

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from mmcv.visualization import make_color_wheel
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import BaseDataElement
from torch import Tensor

KEY_COLOR = (0, 200, 255)  # BGR amber
TEXT_COLOR = (255, 255, 255)
FLOW_RANGE = 0.03  # of the image diagonal: the motion shown in full colour
VIDEO_SUFFIX = '.mp4'
DEFAULT_FPS = 25.0


def flow_to_color(flow: np.ndarray, *, max_norm: float | None = None) -> np.ndarray:
    """Colour a flow (h, w, 2) by the Middlebury wheel: hue direction, tint length.

    Args:
        flow: x and y in pixels; cells that are not finite come out black.
        max_norm: length in full colour; longer ones are darkened. None takes the
            largest length there is.

    Returns:
        BGR uint8 (h, w, 3), white where nothing moves.
    """
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise ValueError(f'flow must be (h, w, 2), got {flow.shape}')
    is_known = np.isfinite(flow).all(axis=2)
    flow = np.where(is_known[..., None], flow, 0).astype(np.float64)
    norm = np.linalg.norm(flow, axis=2)
    if max_norm is None:
        max_norm = max(norm.max(initial=0), np.finfo(np.float32).eps)
    norm = (norm / max_norm)[..., None]  # (h, w, 1)
    wheel = make_color_wheel()  # (bins, 3) RGB
    turn = np.arctan2(-flow[..., 1], -flow[..., 0]) / np.pi  # -1..1
    place = (turn + 1) / 2 * (len(wheel) - 1)
    left = np.floor(place).astype(int)
    weight = (place - left)[..., None]
    hue = (1 - weight) * wheel[left] + weight * wheel[(left + 1) % len(wheel)]
    color = np.where(norm <= 1, 1 - norm * (1 - hue), 0.75 * hue)
    color[~is_known] = 0
    return np.round(color[..., ::-1] * 255).astype(np.uint8)


def flow_at_image_size(
    flow: Tensor, stride: int, *, img_shape: tuple, ori_shape: tuple
) -> np.ndarray:
    """Bring a flow (1, 2, h, w) of the model's input to the frame, in its pixels.

    Args:
        flow: in pixels of its own map.
        stride: pixels of the model's input a cell.
        img_shape: size (H, W) of that input without its padding.
        ori_shape: size (H, W) of the frame.

    Returns:
        (H, W, 2) in pixels of the frame.
    """
    cells = [-(-side // stride) for side in img_shape[:2]]
    field = flow[0, :, : cells[0], : cells[1]].detach().float().cpu().numpy()
    field = np.ascontiguousarray(field.transpose(1, 2, 0)) * stride  # (h, w, 2)
    # whole cells reach past the border: enlarge them all, then cut
    (height, width), (rows, cols) = ori_shape[:2], field.shape[:2]
    y, x = height / img_shape[0], width / img_shape[1]
    full = (round(cols * stride * x), round(rows * stride * y))
    field = cv2.resize(field, full, interpolation=cv2.INTER_LINEAR)
    return field[:height, :width] * np.float32([x, y])


def overlay_flow(
    image: np.ndarray, flow: np.ndarray, *, alpha: float = 0.5
) -> np.ndarray:
    """Lay the colours of a flow (H, W, 2) over an image of its size.

    The colours have one range for all frames of a size, 3 % of the diagonal, and
    are as strong as the motion: what stands still is left as it is.
    """
    if image.shape[:2] != flow.shape[:2]:
        raise ValueError(
            f'flow must have the size of the image {image.shape[:2]}, got '
            f'{flow.shape[:2]}'
        )
    max_norm = FLOW_RANGE * np.hypot(*image.shape[:2])
    color = flow_to_color(flow, max_norm=max_norm)
    norm = np.linalg.norm(np.nan_to_num(flow), axis=2, keepdims=True)
    weight = alpha * np.clip(2 * norm / max_norm, 0, 1)
    return np.round(image * (1 - weight) + color * weight).astype(np.uint8)


def draw_caption(image: np.ndarray, text: str, *, is_key: bool = False) -> np.ndarray:
    """Write a line at the top left; a key frame gets an amber frame around it."""
    image = image.copy()
    height = image.shape[0]
    if is_key:
        border = max(2, round(0.008 * min(image.shape[:2])))
        for side in (np.s_[:border], np.s_[-border:]):
            image[side] = image[:, side] = KEY_COLOR
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(height / 480))
    size, base = cv2.getTextSize(text, font, height / 720, thickness)
    pad = base
    cv2.rectangle(image, (0, 0), (size[0] + 2 * pad, size[1] + 2 * pad), (0, 0, 0), -1)
    color = KEY_COLOR if is_key else TEXT_COLOR
    where = (pad, size[1] + pad)
    cv2.putText(image, text, where, font, height / 720, color, thickness, cv2.LINE_AA)
    return image


def side_by_side(
    left: np.ndarray, right: np.ndarray, *, titles: tuple[str, str] | None = None
) -> np.ndarray:
    """Put two images of one size next to each other, each under its title."""
    if left.shape != right.shape:
        raise ValueError(
            f'both images must have one size, got {left.shape} and {right.shape}'
        )
    if titles is not None:
        left, right = draw_caption(left, titles[0]), draw_caption(right, titles[1])
    return np.concatenate([left, right], axis=1)


class VideoVisualizer:
    """Draw the results of a video frame by frame.

    Args:
        dataset_meta: `classes` and `palette`, as a checkpoint keeps them.
        score_thr: lowest score of a box that is drawn.
    """

    def __init__(
        self, dataset_meta: dict | None = None, *, score_thr: float = 0.3
    ) -> None:
        self.score_thr = score_thr
        self._drawer = DetLocalVisualizer(line_width=2)
        meta = dict(dataset_meta or {})
        classes, palette = meta.get('classes'), meta.get('palette')
        if isinstance(palette, list) and classes and len(palette) < len(classes):
            meta['palette'] = 'random'
        self._drawer.dataset_meta = meta

    def draw(
        self,
        image: np.ndarray,
        sample: BaseDataElement,
        *,
        flow: np.ndarray | None = None,
        seconds: float | None = None,
    ) -> np.ndarray:
        """Draw one frame.

        Args:
            image: the frame.
            sample: its predictions; `frame_id`, `is_key_frame` and `offset` of its
                metainfo go into the caption.
            flow: (H, W, 2), laid over the image under the boxes.
            seconds: what the frame took.
        """
        if flow is not None:
            image = overlay_flow(image, flow)
        rgb = np.ascontiguousarray(image[..., ::-1])
        self._drawer.add_datasample(
            'frame', rgb, sample, draw_gt=False, pred_score_thr=self.score_thr
        )
        drawn = self._drawer.get_image()[..., ::-1]
        is_key = sample.metainfo.get('is_key_frame', False)
        return draw_caption(drawn, _caption(sample.metainfo, seconds), is_key=is_key)


def _caption(meta: dict, seconds: float | None) -> str:
    parts = [f'frame {meta["frame_id"]}'] if 'frame_id' in meta else []
    if 'is_key_frame' in meta:
        is_key = meta['is_key_frame']
        parts.append('KEY' if is_key else f'key + {meta.get("offset", "?")}')
    if seconds is not None:
        parts.append(f'{seconds * 1e3:.0f} ms')
    return ' | '.join(parts)


class VideoWriter:
    """Write frames to an MP4 file or, without a suffix, to a folder of JPEG files.

    Everything goes to a temporary name beside `path` and is renamed when the block
    ends without an error, so a killed run leaves nothing under the final name. An
    MP4 is replaced; a folder that holds something is refused.

    >>> with VideoWriter('out.mp4', fps=25) as writer:
    ...     writer.write(image)

    Args:
        path: `NAME.mp4`, or a folder.
        fps: frames a second of the MP4.
    """

    def __init__(self, path: str | Path, *, fps: float | None = None) -> None:
        self.path = Path(path)
        self.fps = fps or DEFAULT_FPS
        self.is_folder = self.path.suffix == '' or self.path.is_dir()
        if not self.is_folder and self.path.suffix.lower() != VIDEO_SUFFIX:
            raise ValueError(
                f'{path} must end in {VIDEO_SUFFIX}, or be a folder (no suffix)'
            )
        if self.path.is_dir() and any(self.path.iterdir()):
            raise FileExistsError(f'folder {path} is not empty')
        self.count = 0
        suffix = '' if self.is_folder else VIDEO_SUFFIX
        name = f'{self.path.stem}.partial-{os.getpid()}{suffix}'
        self._partial = self.path.absolute().with_name(name)
        self._size: tuple[int, int] | None = None
        self._video: cv2.VideoWriter | None = None

    def write(self, image: np.ndarray) -> None:
        """Append a frame; an MP4 wants all of one size, an odd side is made even."""
        if self.count == 0:
            self._size = image.shape[:2]
            self._partial.parent.mkdir(parents=True, exist_ok=True)
        if self.is_folder:
            self._partial.mkdir(exist_ok=True)
            self._write_image(image)
        else:
            self._write_video(image)
        self.count += 1

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._video is not None:
            self._video.release()
        try:
            if error is None:
                self._publish()
        finally:
            if self._partial.is_dir():
                shutil.rmtree(self._partial)
            self._partial.unlink(missing_ok=True)

    def _write_image(self, image: np.ndarray) -> None:
        path = self._partial / f'{self.count:06d}.jpg'
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95]):
            raise OSError(f'{path} cannot be written')

    def _write_video(self, image: np.ndarray) -> None:
        if image.shape[:2] != self._size:
            raise ValueError(
                f'frame {self.count} has the size {image.shape[:2]}, the video '
                f'{self.path} {self._size}: write to a folder instead'
            )
        # the codec cuts odd sides
        odd = [side % 2 for side in image.shape[:2]]
        image = np.pad(image, ((0, odd[0]), (0, odd[1]), (0, 0)), mode='edge')
        if self._video is None:
            code = cv2.VideoWriter_fourcc(*'mp4v')
            size = image.shape[1::-1]
            self._video = cv2.VideoWriter(str(self._partial), code, self.fps, size)
            if not self._video.isOpened():
                raise OSError(f'{self.path} cannot be written as an MP4 video')
        self._video.write(image)

    def _publish(self) -> None:
        """Check what was written, then give it its name."""
        if self.count == 0:
            raise ValueError(f'no frame was written to {self.path}')
        if self.is_folder:
            found: Any = sum(1 for _ in self._partial.iterdir())
            if self.path.is_dir():
                self.path.rmdir()
        else:
            capture = cv2.VideoCapture(str(self._partial))
            found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            capture.release()
        if found != self.count:
            raise OSError(f'{self.path} holds {found} of {self.count} frames written')
        os.replace(self._partial, self.path)
