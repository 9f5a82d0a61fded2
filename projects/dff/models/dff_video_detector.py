"""Deep Feature Flow around a detector of MMDetection."""

from collections.abc import Sequence

from mmdet.registry import MODELS
from torch import nn

from .video_model import DFFVideoModel, with_preprocessor


@MODELS.register_module()
class DFFVideoDetector(DFFVideoModel):
    """Turn any detector of mmdet into a video detector (paper Sec. 3, 4).

    Args:
        detector: Config of the detector, its ``data_preprocessor`` included.
        propagation: Config of :class:`FeaturePropagation`; its flow network's
            ``strides`` are those of the detector's feature levels.
        key_frame_scheduler: Config of the scheduler.
        frozen_modules: Name patterns of what is not trained, for example
            ``['detector']`` (fix N) or ``['propagation.flow_estimator']`` (fix F).
        data_preprocessor: Preprocessor for a detector config that has none; this is
            how mmengine's Runner passes one from a config's top level.
        init_cfg: As in mmengine.

    Raises:
        ValueError: If the detector has no preprocessor of its own, or a frozen
            pattern matches nothing.
    """

    wrapped_name = 'detector'

    def __init__(
        self,
        detector: dict | nn.Module,
        propagation: dict | nn.Module,
        *,
        key_frame_scheduler: dict | None = None,
        frozen_modules: Sequence[str] = (),
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if isinstance(detector, dict):
            detector = MODELS.build(
                with_preprocessor(detector, data_preprocessor, name='detector')
            )
        super().__init__(
            detector,
            propagation,
            key_frame_scheduler=key_frame_scheduler
            or dict(type='FixedKeyFrameScheduler', interval=10),
            frozen_modules=frozen_modules,
            init_cfg=init_cfg,
        )
