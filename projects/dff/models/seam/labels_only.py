"""Post-processing of segmentors that computes labels without full-size scores."""

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors.base import BaseSegmentor
from torch import Tensor, nn

from dff.ops import upsample_argmax

from .views import view_of


def labels_only_view(segmentor: nn.Module) -> nn.Module:
    """Return a view of a segmentor that predicts ``pred_sem_seg`` only.

    mmseg enlarges the scores to the input, then (again, if only in name) to the
    original frame, and takes the argmax: three passes over K x H x W floats, at the
    paper's size more than the whole flow network. The view computes labels from the
    small scores at once. Frames that are padded, scaled or flipped in test, heads with
    a post-processing of their own, one-class models and ``slide`` are left to mmseg.
    """
    head = segmentor.decode_head
    fits = (
        getattr(type(head), 'predict_by_feat', None) is BaseDecodeHead.predict_by_feat
        and type(segmentor).postprocess_result is BaseSegmentor.postprocess_result
        and (segmentor.test_cfg or {}).get('mode', 'whole') == 'whole'
        and segmentor.out_channels > 1
    )
    if not fits:
        return segmentor
    metas: list[dict] = []

    def keep_small(scores: Tensor, batch_img_metas: list[dict]) -> Tensor:
        metas[:] = batch_img_metas
        return scores

    def compute_labels(scores: Tensor, data_samples: list | None = None) -> list:
        if data_samples is None or not all(_is_unresized(meta) for meta in metas):
            scores = head.predict_by_feat(scores, metas)
            return segmentor.postprocess_result(scores, data_samples)
        labels = upsample_argmax(
            scores, metas[0]['ori_shape'][:2], align_corners=segmentor.align_corners
        )
        for sample, label in zip(data_samples, labels, strict=True):
            sample.set_data(dict(pred_sem_seg=PixelData(data=label[None])))
        return data_samples

    return view_of(
        segmentor,
        decode_head=view_of(head, predict_by_feat=keep_small),
        postprocess_result=compute_labels,
    )


def _is_unresized(meta: dict) -> bool:
    """Return whether a frame reaches the model at its own size, without padding."""
    padding = meta.get('img_padding_size', meta.get('padding_size', (0,)))
    sizes = {tuple(meta[n][:2]) for n in SIZES if meta.get(n) is not None}
    return (
        not any(padding)
        and not meta.get('flip')
        and len(sizes) == 1
        and not isinstance(meta['img_shape'], torch.Size)
    )


SIZES = ('ori_shape', 'img_shape', 'pad_shape')
