"""Deep Feature Flow around a detector of MMDetection."""

from typing import Any

from mmdet.registry import MODELS
from torch import nn

from .video_model import DFFVideoModel


@MODELS.register_module()
class DFFVideoDetector(DFFVideoModel):
    """Turn any detector of mmdet into a video detector (paper Sec. 3, 4).

    Args:
        detector: Config of the detector, its ``data_preprocessor`` included.
        propagation: Config of :class:`FeaturePropagation`; default is classical flow.
            A flow network with weights names the ``strides`` of the detector's
            feature levels.
        kwargs: As for :class:`DFFVideoModel`: ``key_frame_scheduler`` (default:
            every 10th frame, paper Sec. 5), ``frozen_modules``, ``split``,
            ``data_preprocessor``, ``init_cfg``.

    Raises:
        ValueError: If the detector has no preprocessor of its own, a frozen pattern
            matches nothing, or the detector cannot be split where ``split`` says.
    """

    wrapped_name = 'detector'
    default_interval = 10  # paper Sec. 5

    def __init__(
        self,
        detector: dict | nn.Module,
        propagation: dict | nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(detector, propagation, registry=MODELS, **kwargs)
