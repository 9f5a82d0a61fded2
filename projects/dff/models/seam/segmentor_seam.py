"""Where a segmentor is cut: the levels that its heads read, and its windows."""

from collections.abc import Collection, Iterable, Sequence

from torch import Tensor, nn

from .feature_seam import FeatureSeam
from .labels_only import labels_only_view
from .paper_splits import SplitPoint
from .windows import Window, slide_windows

# These heads read all levels in training and one map in eval, which is this one of the
# levels of training (mmseg 1.2.2: the backbones of PIDNet and DDRNet).
UNPACKING_HEADS = {'PIDHead': 1, 'DDRHead': 1}


class SegmentorSeam(FeatureSeam):
    """Split a segmentor of mmseg.

    Only levels that a head reads are propagated: in training those of the decode head
    and of the auxiliary heads, in prediction those of the decode head. A model that
    tests by ``slide`` is cut into its windows: N_feat, F and W run on each as on an
    image of its own, as the model was trained on crops.

    Args:
        model: Segmentor.
        split_point: See ``FeatureSeam``.
        feature_levels: Levels that the heads read; None reads them off the heads.
        labels_only: Whether predictions do without full-size scores.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        split_point: SplitPoint | None = None,
        feature_levels: Sequence[int] | None = None,
        labels_only: bool = False,
    ) -> None:
        super().__init__(model, split_point=split_point)
        self.feature_levels = feature_levels
        self.labels_only = labels_only

    def frame_model(self) -> nn.Module:
        """Return the segmentor, without full-size scores if so asked."""
        return labels_only_view(self.model) if self.labels_only else self.model

    def windows(self, images: Tensor) -> list[Window]:
        """List the windows of ``slide_inference``, in its order, or the image."""
        cfg = self.model.test_cfg or {}
        if cfg.get('mode', 'whole') != 'slide':
            return super().windows(images)
        return slide_windows(images.shape[-2:], cfg['crop_size'], cfg['stride'])

    def level_of_single_map(self) -> int:
        """Return the level of a bare tensor from ``extract_feat``."""
        names = [type(head).__name__ for head in self._heads(with_auxiliary=False)]
        return next((UNPACKING_HEADS[n] for n in names if n in UNPACKING_HEADS), 0)

    def levels_read(self, count: int, *, training: bool) -> Collection[int]:
        """Return which of the ``count`` outputs of ``extract_feat`` a head reads."""
        if self.feature_levels is not None:
            return {level % count for level in self.feature_levels}
        heads = self._heads(with_auxiliary=training)
        return {level for head in heads for level in _read_by(head, count)}

    def outputs_read(self, *, training: bool) -> Collection[int]:
        """Return which of the backbone's outputs are read; see ``FeatureSeam``."""
        if self.model.with_neck:
            return super().outputs_read(training=training)
        count = len(self.model.backbone.out_indices)
        return self.levels_read(count, training=training)

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


def _read_by(head: nn.Module, count: int) -> Iterable[int]:
    """Return which of ``count`` levels a head reads.

    mmseg's heads name them in ``in_index``. Heads without it, and heads that unpack
    their input themselves, read all.
    """
    if type(head).__name__ in UNPACKING_HEADS or not hasattr(head, 'in_index'):
        return range(count)
    # A head may hold another one that reads for it (K-Net).
    named = [m.in_index for m in head.modules() if hasattr(m, 'in_index')]
    flat = [
        i for entry in named for i in ([entry] if isinstance(entry, int) else entry)
    ]
    if getattr(head, 'c1_bottleneck', None) is not None:  # DeepLabV3+
        flat.append(0)
    return {index % count for index in flat}
