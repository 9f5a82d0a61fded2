"""Where a segmentor is cut: the levels its heads read, the windows it looks at."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn

from .feature_seam import FeatureSeam, Window
from .labels_only import labels_only
from .split_point import Place

# These heads take all levels in training and one map in eval, which is this entry of
# the levels of training (mmseg 1.2.2: PIDNet's and DDRNet's backbones).
UNPACKING_HEADS = {'PIDHead': 1, 'DDRHead': 1}


class SegmentorSeam(FeatureSeam):
    """Split a segmentor of mmseg.

    Levels that no head reads become None. In training the decode head and the
    auxiliary heads read, in prediction the decode head only. A model that tests by
    ``slide`` is cut into its windows: N_feat, F and W run on each as on an image of
    its own, as the model was trained on crops.

    Args:
        model: Segmentor.
        place: See ``FeatureSeam``.
        feature_levels: Levels that the heads read; None finds out.
        labels_only: Whether predictions do without full-size scores.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        place: Place | None = None,
        feature_levels: Sequence[int] | None = None,
        labels_only: bool = False,
    ) -> None:
        super().__init__(model, place=place)
        self.feature_levels = feature_levels
        self.labels_only = labels_only

    def post_processing(self) -> AbstractContextManager:
        """See ``FeatureSeam``; without full-size scores if so asked."""
        return labels_only(self.model) if self.labels_only else nullcontext()

    def windows(self, images: Tensor) -> list[Window]:
        """Give the windows of ``slide_inference``, in its order; else the image."""
        cfg = self.model.test_cfg or {}
        if cfg.get('mode', 'whole') != 'slide':
            return super().windows(images)
        spans = [
            _spans(side, crop, stride)
            for side, crop, stride in zip(
                images.shape[-2:], cfg['crop_size'], cfg['stride'], strict=True
            )
        ]
        return [(y1, x1, y2, x2) for y1, y2 in spans[0] for x1, x2 in spans[1]]

    def head(self, images: Tensor) -> Any:
        """Run N_feat on images (N, 3, H, W); see ``FeatureSeam.head``."""
        feats = super().head(images)
        if self.place is not None or isinstance(feats, Tensor):
            return feats
        read = self._read_levels(len(feats), training=self.model.training)
        return type(feats)(
            feat if level in read else None for level, feat in enumerate(feats)
        )

    def levels(self, feats: Any) -> Sequence[int] | None:
        """Tell which of the flow network's strides each level of ``feats`` has.

        See ``FeatureSeam.levels``.
        """
        if self.place is not None:
            return super().levels(feats)
        if isinstance(feats, Tensor):
            names = [type(head).__name__ for head in self._heads(with_auxiliary=False)]
            return next(
                ([UNPACKING_HEADS[n]] for n in names if n in UNPACKING_HEADS), None
            )
        trained = sorted(self._read_levels(len(feats), training=True))
        return [trained.index(i) for i, feat in enumerate(feats) if feat is not None]

    def outputs_read(self, *, training: bool) -> Collection[int]:
        """Tell which of the backbone's outputs are read; see ``FeatureSeam``."""
        if self.model.with_neck:
            return super().outputs_read(training=training)
        count = len(self.model.backbone.out_indices)
        return self._read_levels(count, training=training)

    def _heads(self, *, with_auxiliary: bool) -> list[nn.Module]:
        model = self.model
        heads = [model.decode_head]
        if with_auxiliary and model.with_auxiliary_head:
            heads.append(model.auxiliary_head)
        return [
            inner
            for head in heads
            for inner in (head if isinstance(head, nn.ModuleList) else [head])
        ]

    def _read_levels(self, count: int, *, training: bool) -> set[int]:
        if self.feature_levels is not None:
            return {level % count for level in self.feature_levels}
        heads = self._heads(with_auxiliary=training)
        return {level for head in heads for level in _read_by(head, count)}


def _read_by(head: nn.Module, count: int) -> Iterable[int]:
    """Give the levels that a head reads, of ``count``.

    mmseg's heads say so in ``in_index``; those that do not, or unpack what they get
    themselves, read all.
    """
    if type(head).__name__ in UNPACKING_HEADS or not hasattr(head, 'in_index'):
        return range(count)
    # a head may have another one inside that reads for it (K-Net)
    named = [m.in_index for m in head.modules() if hasattr(m, 'in_index')]
    flat = [
        i for entry in named for i in ([entry] if isinstance(entry, int) else entry)
    ]
    if getattr(head, 'c1_bottleneck', None) is not None:  # DeepLabV3+
        flat.append(0)
    return {index % count for index in flat}


def _spans(side: int, crop: int, stride: int) -> list[tuple[int, int]]:
    """Give start and end of each window along one side (mmseg's ``slide``)."""
    count = max(side - crop + stride - 1, 0) // stride + 1
    ends = [min(index * stride + crop, side) for index in range(count)]
    return [(max(end - crop, 0), end) for end in ends]
