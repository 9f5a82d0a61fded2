"""The image detector of the paper: R-FCN on halved features (paper Sec. 4)."""

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.registry import MODELS


@MODELS.register_module()
class RFCN(TwoStageDetector):
    """Two-stage detector whose neck feeds one half of its channels to each stage.

    ``extract_feat`` ends behind the neck; that is N_feat of the paper. What follows
    (N_task) has one layer of weights: the 1x1 convolutions of ``rpn_head`` and
    ``roi_head``.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        rpn_head: dict,
        roi_head: dict,
        *,
        channels_last: bool = False,
        **kwargs,
    ) -> None:
        """Build the parts.

        Args:
            backbone: any backbone; its last level is used.
            neck: ``DilatedNeck``.
            rpn_head: ``RFCNRPNHead``.
            roi_head: ``RFCNHead``.
            channels_last: Whether weights, and so all maps, are stored channels
                last. Values stay the same but for rounding; depth-wise and dilated
                layers are about twice as fast on a CPU.
            kwargs: ``train_cfg``, ``test_cfg``, ``data_preprocessor`` and
                ``init_cfg`` as of any two-stage detector.

        Raises:
            ValueError: If a head is not half as wide as the neck.
        """
        super().__init__(
            backbone=backbone, neck=neck, rpn_head=rpn_head, roi_head=roi_head, **kwargs
        )
        # Some backbones freeze their stages in train() only, which the Runner calls
        # after DDP has counted the parameters that need gradients.
        self.train(self.training)
        if self.neck.out_channels % 2:
            raise ValueError(
                "the neck's out_channels must be even, one half a branch, got "
                f'{self.neck.out_channels}'
            )
        half = self.neck.out_channels // 2
        for name in ('rpn_head', 'roi_head'):
            width = getattr(self, name).in_channels
            if width != half:
                raise ValueError(
                    f'{name}.in_channels must be {half}, half of '
                    f"the neck's out_channels, got {width}"
                )
        if channels_last:
            self.to(memory_format=torch.channels_last)
