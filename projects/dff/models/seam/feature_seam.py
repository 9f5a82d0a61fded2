"""Where an image model is cut into N_feat and N_task.

Shapes: N images, H, W image, C channels, h, w a feature level.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor, nn

from .split_point import Place, read_by_neck

Window = tuple[int, int, int, int]  # y1, x1, y2, x2 in pixels of the padded image


class FeatureSeam:
    """Split an image model into N_feat and N_task.

    Args:
        model: Detector of mmdet or segmentor of mmseg, which reach the pixels only
            through ``extract_feat``.
        place: Where N_feat ends; None is the end of ``extract_feat``.
    """

    def __init__(self, model: nn.Module, *, place: Place | None = None) -> None:
        self.model = model
        self.place = place

    def windows(self, images: Tensor) -> list[Window]:
        """Give the parts of images (N, 3, H, W) that ``predict`` looks at in turn."""
        return [(0, 0, *images.shape[-2:])]

    def head(self, images: Tensor) -> Any:
        """Run N_feat on images (N, 3, H, W).

        Returns:
            What is propagated: what ``extract_feat`` gives, or the maps at the
            split; None in the place of a level that nobody reads.
        """
        if self.place is None:
            return self.model.extract_feat(images)
        read = self.outputs_read(training=self.model.training)
        return self.place.head(self.model, images, read)

    def levels(self, feats: Any) -> Sequence[int] | None:
        """Tell which of the flow network's strides each level of ``feats`` has.

        The strides are those of the levels read in training, in the levels' order.

        Returns:
            Indices into ``strides``; None if the levels are all of them, in order.
        """
        if self.place is None:
            return None
        *before, last = range(len(feats))  # the map at the split is always read
        trained = [i for i in before if i in self.outputs_read(training=True)]
        order = [*trained, last]
        return [order.index(i) for i, feat in enumerate(feats) if feat is not None]

    def tail(self, feats: Any) -> Any:
        """Give what the model expects of ``extract_feat``."""
        return feats if self.place is None else self.place.tail(self.model, feats)

    def outputs_read(self, *, training: bool) -> Collection[int]:
        """Tell which of the backbone's outputs (their places) somebody reads."""
        count = len(self.model.backbone.out_indices)
        return read_by_neck(getattr(self.model, 'neck', None), count)

    def at_hand(self) -> AbstractContextManager:
        """Give the context in which the heads work on what ``tail`` gives."""
        return nullcontext() if self.place is None else self.place.at_hand(self.model)

    def post_processing(self) -> AbstractContextManager:
        """Give the context in which the model turns its output into results."""
        return nullcontext()

    def run(self, method: str, images: Tensor, feats: Any, *args: Any) -> Any:
        """Call a method of the model on features at hand.

        Args:
            method: ``'loss'``, ``'predict'`` or ``'_forward'``.
            images: (N, 3, H, W); only their size is read.
            feats: Features of these images, as ``head`` gives them.
            args: Further arguments of the method, such as data samples.
        """
        return self.run_windows(method, images, [feats], *args)

    def run_windows(
        self, method: str, images: Tensor, feats: Sequence[Any], *args: Any
    ) -> Any:
        """Call a method of the model on the features of several windows.

        Args:
            method: See ``run``.
            images: See ``run``.
            feats: Features of each window, in the order of ``windows``.
            args: See ``run``.
        """
        handed_in = self._handed_in([self.tail(f) for f in feats])
        with handed_in as calls, self.at_hand(), self.post_processing():
            result = getattr(self.model, method)(images, *args)
        if len(feats) > 1 and calls[0] != len(feats):
            raise RuntimeError(
                f'{type(self.model).__name__}.{method} asked {calls[0]} times for '
                f'features, but there are {len(feats)} windows'
            )
        return result

    @contextmanager
    def _handed_in(self, feats: Sequence[Any]) -> Iterator[list[int]]:
        calls = [0]

        def extract_feat(*args: Any, **kwargs: Any) -> Any:
            # A model with one window may ask again; it gets the same.
            index = calls[0] % len(feats)
            calls[0] += 1
            return feats[index]

        self.model.extract_feat = extract_feat
        try:
            yield calls
        finally:
            del self.model.extract_feat


def cut(images: Tensor, window: Window) -> Tensor:
    """Give a window of images (N, 3, H, W), a view."""
    y1, x1, y2, x2 = window
    return images[..., y1:y2, x1:x2]


def shape_inside(shape: Sequence[int], window: Window) -> tuple[int, int]:
    """Give the part (H, W) of a window that lies inside an image of ``shape``."""
    y1, x1, y2, x2 = window
    height, width = shape[:2]
    return max(0, min(height, y2) - y1), max(0, min(width, x2) - x1)


def join_windows(
    maps: Sequence[Tensor],
    windows: Sequence[Window],
    *,
    size: Sequence[int],
    stride: int,
) -> Tensor:
    """Lay maps of windows beside each other; where they overlap, the later one.

    Args:
        maps: (N, C, h, w) of each window, one cell for ``stride`` pixels.
        windows: Where they are.
        size: (H, W) of the whole image, which the windows cover.
        stride: Pixels a cell; corners that lie within a cell are rounded.

    Returns:
        One map of the whole image.
    """
    if len(maps) == 1:
        return maps[0]
    total = [-(-side // stride) for side in size]
    whole = maps[0].new_zeros(*maps[0].shape[:2], *total)  # (N, C, h, w)
    for window, part in zip(windows, maps, strict=True):
        height, width = part.shape[-2:]
        y = min(round(window[0] / stride), total[0] - height)
        x = min(round(window[1] / stride), total[1] - width)
        whole[..., y : y + height, x : x + width] = part
    return whole
