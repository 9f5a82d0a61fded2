"""Where a detector is cut, and how many proposals it refines on propagated frames."""

from typing import Any

from torch import nn

from .feature_seam import FeatureSeam
from .paper_splits import SplitPoint
from .views import view_of


class DetectorSeam(FeatureSeam):
    """Split a detector of mmdet.

    Args:
        model: Detector.
        split_point: See ``FeatureSeam``.
        proposals: How many proposals the RPN returns on propagated frames; None is as
            many as on key frames.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        split_point: SplitPoint | None = None,
        proposals: int | None = None,
    ) -> None:
        super().__init__(model, split_point=split_point)
        self.proposals = proposals

    def propagated_model(self) -> nn.Module:
        """Return a view of the detector whose RPN returns ``proposals`` boxes."""
        model = self.frame_model()
        if self.proposals is None:
            return model
        cfg = {**model.rpn_head.test_cfg, 'max_per_img': self.proposals}
        kind = type(model.rpn_head.test_cfg)
        return view_of(model, rpn_head=view_of(model.rpn_head, test_cfg=kind(cfg)))


def check_proposals(model: nn.Module, proposals: Any) -> None:
    """Check that a detector can return a number of proposals; None is its own.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is less than 1, or the detector has no RPN that counts.
    """
    if proposals is None:
        return
    if isinstance(proposals, bool) or not isinstance(proposals, int):
        raise TypeError(f'proposals must be an integer or None, got {proposals!r}')
    if proposals < 1:
        raise ValueError(f'proposals must be at least 1, got {proposals}')
    cfg = getattr(getattr(model, 'rpn_head', None), 'test_cfg', None)
    if not isinstance(cfg, dict) or 'max_per_img' not in cfg:
        raise ValueError(
            'proposals needs a two-stage detector whose RPN has max_per_img in its '
            f'test_cfg, got {type(model).__name__} with proposals={proposals}'
        )
