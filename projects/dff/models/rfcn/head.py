"""R-FCN's detection branch: position-sensitive score and box maps.

Shape letters: N images, C channels of a branch, h, w feature size, R RoIs,
K classes, P bins a side. RoIs are (image index, x1, y1, x2, y2) in image pixels
and include their last pixel.
"""

import torch
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.models.utils import empty_instances, unpack_gt_instances
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor, scale_boxes
from mmengine.structures import InstanceData
from torch import Tensor, nn

from dff.ops import ps_roi_pool

from .branches import full_precision, split_branches
from .suppression import best_detections

NORMAL_INIT = dict(type='Normal', layer='Conv2d', std=0.01)  # released code
BOX_CODER = dict(
    type='RFCNBBoxCoder', target_stds=(0.1, 0.1, 0.2, 0.2)
)  # released code


def select_hard_rois(losses: Tensor, image_ids: Tensor, num: int) -> Tensor:
    """Mark the RoIs that train the head: of each image the ``num`` worst.

    Positives and negatives are ranked together, as the release does it.

    Args:
        losses: classification plus box loss of each RoI (R,).
        image_ids: image of each RoI (R,).
        num: how many an image keeps; all where it has fewer.

    Returns:
        Boolean mask (R,).
    """
    mask = torch.zeros_like(losses, dtype=torch.bool)
    for image_id in image_ids.unique():
        inds = (image_ids == image_id).nonzero().squeeze(1)
        hardest = losses.detach()[inds].topk(min(num, len(inds))).indices
        mask[inds[hardest]] = True
    return mask


@MODELS.register_module()
class RFCNHead(BaseRoIHead):
    """Score and refine RoIs without weights of their own (paper Sec. 4).

    Two sibling 1x1 convolutions give P * P * (K + 1) class maps and P * P * 4 box
    maps; a RoI's score is the mean of what its bins pool from their own maps.
    Channels are class-major; background is the last class.

    ``train_cfg``: ``assigner`` and ``num_hard`` (released OHEM: 128 RoIs an image).
    ``test_cfg``: ``score_thr``, ``nms``, ``max_per_img``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 512,
        *,
        featmap_stride: int = 16,
        pool_size: int = 7,
        reg_class_agnostic: bool = True,
        bbox_coder: dict = BOX_CODER,
        loss_cls: dict | None = None,
        loss_bbox: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = NORMAL_INIT,
    ) -> None:
        """Build the convolutions.

        Args:
            num_classes: K, without background.
            in_channels: C, the second half of the features.
            featmap_stride: image pixels a feature cell.
            pool_size: P.
            reg_class_agnostic: one box a RoI rather than one a class.
            bbox_coder: registered coder of RoI deltas.
            loss_cls: registered loss, softmax cross entropy by default.
            loss_bbox: registered loss, smooth L1 by default.
            train_cfg: see the class; None for a model that is only tested.
            test_cfg: see the class.
            init_cfg: initialisation of the convolutions.
        """
        self.num_classes = num_classes
        self.in_channels = in_channels
        super().__init__(train_cfg=train_cfg, test_cfg=test_cfg, init_cfg=init_cfg)
        self.spatial_scale = 1 / featmap_stride
        self.pool_size = pool_size
        self.reg_class_agnostic = reg_class_agnostic
        num_boxes = 1 if reg_class_agnostic else num_classes
        self.rfcn_cls = nn.Conv2d(in_channels, pool_size**2 * (num_classes + 1), 1)
        self.rfcn_reg = nn.Conv2d(in_channels, pool_size**2 * 4 * num_boxes, 1)
        self.bbox_coder = TASK_UTILS.build(bbox_coder)
        self.loss_cls = MODELS.build(loss_cls or dict(type='CrossEntropyLoss'))
        self.loss_bbox = MODELS.build(loss_bbox or dict(type='SmoothL1Loss'))

    @property
    def with_bbox(self) -> bool:
        """Whether the head predicts boxes; stock detectors ask for it."""
        return True

    def init_bbox_head(self, *args, **kwargs) -> None:
        """Refuse a box head: there are no weights behind the pooling.

        Raises:
            ValueError: Always.
        """
        raise ValueError('RFCNHead takes no bbox_head or bbox_roi_extractor')

    def init_mask_head(self, *args, **kwargs) -> None:
        """Refuse a mask head.

        Raises:
            ValueError: Always.
        """
        raise ValueError('RFCNHead takes no mask_head or mask_roi_extractor')

    def init_assigner_sampler(self) -> None:
        """Build the assigner; hard RoIs are chosen after the forward pass."""
        if self.train_cfg:
            self.bbox_assigner = TASK_UTILS.build(self.train_cfg['assigner'])

    def forward(
        self,
        x: tuple[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return class scores (R, K + 1) before softmax and box deltas (R, 4).

        Args:
            x: features, one level of (N, 2 * C, h, w).
            rpn_results_list: proposals, one an image.
            batch_data_samples: not used; part of the stock interface.
        """
        proposals = [get_box_tensor(res.bboxes) for res in rpn_results_list]
        return self.forward_rois(x, bbox2roi(proposals))

    def forward_rois(self, x: tuple[Tensor], rois: Tensor) -> tuple[Tensor, Tensor]:
        """Return class scores (R, K + 1) and deltas (R, 4 or 4 * K) of RoIs (R, 5)."""
        cls_maps, box_maps = self.score_maps(x)
        # A RoI's bins vote.
        cls_score = self.pool_bins(cls_maps, rois).mean(dim=(2, 3))
        return cls_score, self.pool_bins(box_maps, rois).mean(dim=(2, 3))

    def score_maps(self, x: tuple[Tensor]) -> tuple[Tensor, Tensor]:
        """Return class maps (N, (K + 1) P P, h, w) and box maps, 4 P P (a class)."""
        _, rfcn_half = split_branches(x[0])
        maps = self.rfcn_cls(rfcn_half), self.rfcn_reg(rfcn_half)
        return full_precision(maps[0]), full_precision(maps[1])

    def pool_bins(self, maps: Tensor, rois: Tensor) -> Tensor:
        """Pool the bins (R, D, P, P) of RoIs (R, 5) from maps (N, D * P * P, h, w)."""
        return ps_roi_pool(
            maps, rois.to(maps.dtype), self.pool_size, self.spatial_scale
        )

    def loss(
        self,
        x: tuple[Tensor],
        rpn_results_list: list[InstanceData],
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        """Return the mean losses over the hard RoIs of all images."""
        targets = self.get_targets(rpn_results_list, batch_data_samples)
        rois, labels, box_targets = targets
        cls_score, bbox_pred = self.forward_rois(x, rois)
        cls_losses, box_losses = self.roi_losses(
            cls_score, bbox_pred, labels=labels, box_targets=box_targets
        )
        hard = select_hard_rois(
            cls_losses + box_losses, rois[:, 0], self.train_cfg['num_hard']
        )
        num_hard = hard.sum().clamp(min=1)
        return dict(
            loss_cls=cls_losses[hard].sum() / num_hard,
            loss_bbox=box_losses[hard].sum() / num_hard,
        )

    def get_targets(
        self, rpn_results_list: list[InstanceData], batch_data_samples: SampleList
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Match proposals and the labelled boxes themselves to labelled boxes.

        Returns:
            RoIs (R, 5) without ignored ones, their labels (R,) with K for
            background, and deltas to their boxes (R, 4), zero for background.
        """
        gts, ignored, _ = unpack_gt_instances(batch_data_samples)
        priors, labels, deltas = [], [], []
        for res, gt, gt_ignored in zip(rpn_results_list, gts, ignored, strict=True):
            gt_boxes = get_box_tensor(gt.bboxes)
            boxes = torch.cat([get_box_tensor(res.bboxes), gt_boxes])
            gt_inds = self.bbox_assigner.assign(
                InstanceData(priors=boxes), gt, gt_ignored
            ).gt_inds
            boxes, gt_inds = boxes[gt_inds >= 0], gt_inds[gt_inds >= 0]
            label = torch.full_like(gt_inds, self.num_classes)
            delta = torch.zeros_like(boxes)
            pos = gt_inds > 0
            label[pos] = gt.labels[gt_inds[pos] - 1]
            delta[pos] = self.bbox_coder.encode(boxes[pos], gt_boxes[gt_inds[pos] - 1])
            priors.append(boxes)
            labels.append(label)
            deltas.append(delta)
        return bbox2roi(priors), torch.cat(labels), torch.cat(deltas)

    def roi_losses(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        *,
        labels: Tensor,
        box_targets: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return classification and box loss of every RoI, each (R,)."""
        if not len(labels):  # stock losses of nothing are scalars
            return cls_score.sum(dim=1), bbox_pred.sum(dim=1)
        cls_losses = self.loss_cls(cls_score, labels, reduction_override='none')
        positive = labels < self.num_classes
        if not self.reg_class_agnostic:
            own = labels.clamp(max=self.num_classes - 1)
            rows = torch.arange(len(labels), device=labels.device)
            bbox_pred = bbox_pred.reshape(-1, self.num_classes, 4)[rows, own]
        box_losses = self.loss_bbox(
            bbox_pred, box_targets, reduction_override='none'
        ).sum(dim=1)
        return cls_losses, box_losses * positive

    def predict_bbox(
        self,
        x: tuple[Tensor],
        batch_img_metas: list[dict],
        rpn_results_list: list[InstanceData],
        rcnn_test_cfg: dict,
        rescale: bool = False,
    ) -> list[InstanceData]:
        """Return the detections of each image.

        Args:
            x: features, one level of (N, 2 * C, h, w).
            batch_img_metas: with ``img_shape`` and, to rescale, ``scale_factor``.
            rpn_results_list: proposals, one an image.
            rcnn_test_cfg: see the class.
            rescale: whether boxes are in pixels of the original image.
        """
        proposals = [get_box_tensor(res.bboxes) for res in rpn_results_list]
        rois = bbox2roi(proposals)
        if not len(rois):
            return empty_instances(batch_img_metas, rois.device, 'bbox')
        cls_score, bbox_pred = self.forward_rois(x, rois)
        sizes = [len(boxes) for boxes in proposals]
        per_image = zip(
            batch_img_metas,
            proposals,
            cls_score.softmax(dim=1).split(sizes),
            bbox_pred.split(sizes),
            strict=True,
        )
        return [
            self._predict_single(*item, cfg=rcnn_test_cfg, rescale=rescale)
            for item in per_image
        ]

    def _predict_single(
        self,
        meta: dict,
        boxes: Tensor,
        scores: Tensor,
        deltas: Tensor,
        *,
        cfg: dict,
        rescale: bool,
    ) -> InstanceData:
        """Decode, rescale and suppress the RoIs of one image."""
        num_boxes = deltas.shape[1] // 4
        boxes = self.bbox_coder.decode(
            boxes.repeat_interleave(num_boxes, dim=0),
            deltas.reshape(-1, 4),
            max_shape=meta['img_shape'],
        )
        if rescale:
            # A pipeline without Resize states no factor.
            factors = meta.get('scale_factor', (1.0, 1.0))
            boxes = scale_boxes(boxes, [1 / s for s in factors])
        dets, labels = best_detections(
            boxes.reshape(len(scores), 4 * num_boxes),
            scores,
            score_thr=cfg['score_thr'],
            nms=cfg['nms'],
            max_per_img=cfg['max_per_img'],
        )
        return InstanceData(bboxes=dets[:, :4], scores=dets[:, 4], labels=labels)
