"""Where an image model is cut into N_feat and N_task.

Shapes: N images, H, W image, C channels, h, w a feature level.
"""

from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor, nn

from .feats import Feats, Wanted
from .paper_splits import SplitPoint, outputs_read_by_neck
from .views import view_of
from .windows import Window


class FeatureSeam:
    """Split an image model into N_feat and N_task.

    N_task runs on a view of the model (:func:`~.views.view_of`) whose ``extract_feat``
    returns the propagated features: the model itself is never changed.

    Args:
        model: Detector of mmdet or segmentor of mmseg, which reach the pixels only
            through ``extract_feat``.
        split_point: Where N_feat ends; None is the end of ``extract_feat``.
    """

    def __init__(
        self, model: nn.Module, *, split_point: SplitPoint | None = None
    ) -> None:
        self.model = model
        self.split_point = split_point

    def windows(self, images: Tensor) -> list[Window]:
        """List the parts of images (N, 3, H, W) that ``predict`` looks at in turn."""
        return [(0, 0, *images.shape[-2:])]

    def head(
        self,
        images: Tensor,
        *,
        training: bool | None = None,
        img_shapes: Sequence[Sequence[int]] | None = None,
    ) -> Feats:
        """Run N_feat on images (N, 3, H, W).

        Args:
            images: As the model gets them.
            training: Whether to return the levels that are read in training; default
                is the mode of the model.
            img_shapes: Size (H, W) of each image inside the padding; None: no padding.

        Raises:
            TypeError: If ``extract_feat`` returns no tensor and no sequence of tensors.
        """
        training = self.model.training if training is None else training
        if self.split_point is not None:
            wanted = Wanted(training, self.outputs_read, img_shapes)
            return self.split_point.head(self.model, images, wanted)
        outputs = self.model.extract_feat(images)
        if isinstance(outputs, Tensor):
            level = self.level_of_single_map()
            return Feats({level: outputs}, num_levels=None if level else 1)
        if not isinstance(outputs, (tuple, list)) or not all(
            isinstance(feat, Tensor) for feat in outputs
        ):
            raise TypeError(
                'features must be a tensor or a tuple or list of tensors, got '
                f'{type(outputs).__name__} from {type(self.model).__name__}'
            )
        trained = sorted(self.levels_read(len(outputs), training=True))
        read = self.levels_read(len(outputs), training=training)
        maps = {n: outputs[i] for n, i in enumerate(trained) if i in read}
        form = (type(outputs), len(outputs), trained)
        return Feats(maps, num_levels=len(trained), form=form)

    def tail(self, feats: Feats) -> Any:
        """Return what the heads expect from ``extract_feat``.

        Runs the rest of ``extract_feat`` where N_feat ends inside of it. A level that
        is not in ``feats`` becomes None.
        """
        if self.split_point is not None:
            return self.split_point.tail(self.model, feats)
        if feats.form is None:
            (feat,) = feats.maps.values()
            return feat
        kind, count, trained = feats.form
        outputs: list[Tensor | None] = [None] * count
        for level, feat in feats.maps.items():
            outputs[trained[level]] = feat
        return kind(outputs)

    def levels_read(self, count: int, *, training: bool) -> Collection[int]:
        """Return which of the ``count`` outputs of ``extract_feat`` a head reads."""
        return range(count)

    def level_of_single_map(self) -> int:
        """Return the level of a bare tensor from ``extract_feat``."""
        return 0

    def outputs_read(self, *, training: bool) -> Collection[int]:
        """Return which of the backbone's outputs (their indices) are read."""
        count = len(self.model.backbone.out_indices)
        return outputs_read_by_neck(getattr(self.model, 'neck', None), count)

    def frame_model(self) -> nn.Module:
        """Return the image model (Frame), with the post-processing of N_task."""
        return self.model

    def propagated_model(self) -> nn.Module:
        """Return the image model as it predicts propagated frames."""
        return self.frame_model()

    def run(
        self,
        method: str,
        images: Tensor,
        feats: Feats | Sequence[Feats],
        *args: Any,
        is_propagated: bool = False,
    ) -> Any:
        """Run N_task: call a method of the model on features.

        Args:
            method: ``'loss'``, ``'predict'`` or ``'_forward'``.
            images: (N, 3, H, W); only their size is read.
            feats: Features of these images, or one entry per window.
            args: Further arguments of the method, such as data samples.
            is_propagated: Whether to run :meth:`propagated_model`.

        Raises:
            RuntimeError: If the model asks for features more or less often than there
                are windows.
        """
        feats = [feats] if isinstance(feats, Feats) else list(feats)
        outputs = [self.tail(part) for part in feats]
        calls = 0

        def extract_feat(*_: Any, **__: Any) -> Any:
            # A model with one window may ask again; it gets the same.
            nonlocal calls
            calls += 1
            return outputs[(calls - 1) % len(outputs)]

        model = self.propagated_model() if is_propagated else self.frame_model()
        if self.split_point is not None:
            model = self.split_point.view(model)
        view = view_of(model, extract_feat=extract_feat)
        result = getattr(view, method)(images, *args)
        if len(outputs) > 1 and calls != len(outputs):
            raise RuntimeError(
                f'{type(self.model).__name__}.{method} asked {calls} times for '
                f'features, but there are {len(outputs)} windows'
            )
        return result
