"""Deep Feature Flow around a segmentor of MMSegmentation."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from .seam.segmentor_seam import SegmentorSeam
from .video_model import DFFVideoModel


@MODELS.register_module()
class DFFVideoSegmentor(DFFVideoModel):
    """Turn any segmentor of mmseg into a video segmentor (paper Sec. 3, 4).

    A segmentor that tests by ``slide`` keeps the key features of each window and
    propagates them window by window.

    Args:
        segmentor: Config of the segmentor, its ``data_preprocessor`` included.
        propagation: Config of :class:`FeaturePropagation`; default is classical flow.
            A flow network with weights names the ``strides`` of the feature levels
            that the decode head or an auxiliary head reads, in the levels' order.
        feature_levels: Levels of ``extract_feat`` that a head reads, for heads that
            do not name them in ``in_index``; None reads them off the heads.
        labels_only: Predict ``pred_sem_seg`` without full-size ``seg_logits``, in a
            fraction of the time; equal but for pixels where two classes tie.
        pretrained: None; mmseg's ``init_model`` passes it to every segmentor.
        train_cfg: Likewise.
        kwargs: As for :class:`DFFVideoModel`: ``key_frame_scheduler`` (default:
            every 5th frame, paper Sec. 5), ``frozen_modules``, ``split``,
            ``data_preprocessor``, ``init_cfg``.

    Raises:
        ValueError: If the segmentor has no preprocessor, a frozen pattern matches
            nothing, or the segmentor cannot be split where ``split`` says.
    """

    wrapped_name = 'segmentor'
    default_interval = 5  # paper Sec. 5

    def __init__(
        self,
        segmentor: dict | nn.Module,
        propagation: dict | nn.Module | None = None,
        *,
        feature_levels: Sequence[int] | None = None,
        labels_only: bool = False,
        pretrained: None = None,
        train_cfg: None = None,
        **kwargs: Any,
    ) -> None:
        for name, value in dict(pretrained=pretrained, train_cfg=train_cfg).items():
            if value is not None:
                raise ValueError(
                    f'{name} belongs into the config of the segmentor, got {value!r} '
                    'outside of it'
                )
        # first, as the base class asks the seam
        self.feature_levels = feature_levels
        self.labels_only = labels_only
        super().__init__(segmentor, propagation, registry=MODELS, **kwargs)

    @property
    def seam(self) -> SegmentorSeam:
        """Where N_feat ends and N_task begins."""
        return SegmentorSeam(
            self.segmentor,
            split_point=self.split_point,
            feature_levels=self.feature_levels,
            labels_only=self.labels_only,
        )

    def loss(self, inputs: dict[str, Tensor], data_samples: list) -> dict:
        """Compute the losses of pairs; see :meth:`DFFVideoModel.loss`.

        Where every label of a batch is void, losses that take the mean over no pixel
        at all are 0, and every parameter gets a gradient.
        """
        losses = super().loss(inputs, data_samples)
        void = self.segmentor.decode_head
        void = (void[-1] if isinstance(void, nn.ModuleList) else void).ignore_index
        if any((s.gt_sem_seg.data != void).any() for s in data_samples):
            return losses
        # a zero that every parameter takes part in, so that no rank waits for others
        zero = sum(p.sum() for p in self.parameters() if p.requires_grad) * 0
        return {
            name: zero + (loss if torch.isfinite(loss).all() else 0)
            if 'loss' in name
            else loss
            for name, loss in losses.items()
        }
