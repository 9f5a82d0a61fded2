"""Deep Feature Flow around a detector of MMDetection."""

from typing import Any

from mmdet.registry import MODELS
from torch import nn

from .seam.detector_seam import DetectorSeam, check_proposals
from .video_model import DFFVideoModel


@MODELS.register_module()
class DFFVideoDetector(DFFVideoModel):
    """Turn any detector of mmdet into a video detector (paper Sec. 3, 4).

    Args:
        detector: Config of the detector, its ``data_preprocessor`` included.
        propagation: Config of :class:`FeaturePropagation`; default is classical flow.
            A flow network with weights names the ``strides`` of the detector's
            feature levels.
        proposals: How many proposals of a two-stage detector are refined on frames
            that are no key frames; None is as many as on key frames.
        kwargs: As for :class:`DFFVideoModel`: ``key_frame_scheduler`` (default:
            every 10th frame, paper Sec. 5), ``frozen_modules``, ``split``,
            ``data_preprocessor``, ``init_cfg``.

    Raises:
        TypeError: If ``proposals`` is no integer.
        ValueError: If the detector has no preprocessor of its own, a frozen pattern
            matches nothing, the detector cannot be split where ``split`` says, or
            ``proposals`` is less than 1 or the detector has none.
    """

    wrapped_name = 'detector'
    default_interval = 10  # paper Sec. 5

    def __init__(
        self,
        detector: dict | nn.Module,
        propagation: dict | nn.Module | None = None,
        *,
        proposals: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.proposals = proposals  # first, as the base class asks the seam
        super().__init__(detector, propagation, registry=MODELS, **kwargs)
        check_proposals(self.detector, proposals)

    @property
    def seam(self) -> DetectorSeam:
        """Where N_feat ends and N_task begins."""
        return DetectorSeam(
            self.detector, split_point=self.split_point, proposals=self.proposals
        )
