"""R-FCN's proposals: what is kept is what greedy NMS over all boxes keeps."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from dff.models import RFCNRPNHead


def greedy_nms(boxes, scores, threshold, limit):
    """Keep boxes one by one; boxes include their last pixel."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    for i in order:
        x1, y1, x2, y2 = boxes[i]
        for j in kept:
            a1, b1, a2, b2 = boxes[j]
            w = min(x2, a2) - max(x1, a1) + 1
            h = min(y2, b2) - max(y1, b1) + 1
            inter = max(w, 0) * max(h, 0)
            union = (x2 - x1 + 1) * (y2 - y1 + 1) + (a2 - a1 + 1) * (b2 - b1 + 1)
            if inter / (union - inter) > threshold:
                break
        else:
            kept.append(i)
        if len(kept) == limit:
            break
    return kept


@pytest.mark.parametrize('spread, limit', [(400, 20), (40, 20), (3, 5), (400, 500)])
def test_proposals_are_those_of_nms_over_all_boxes(spread, limit):
    torch.manual_seed(0)
    corners = torch.rand(400, 2) * spread
    boxes = torch.cat([corners, corners + 10 + 20 * torch.rand(400, 2)], dim=1)
    scores = torch.rand(400)
    head = RFCNRPNHead(
        in_channels=8,
        anchor_generator=dict(
            type='RFCNAnchorGenerator', strides=[16], scales=[8], ratios=[1.0]
        ),
        bbox_coder=dict(type='RFCNBBoxCoder', target_stds=(0.1, 0.1, 0.4, 0.4)),
        loss_cls=dict(type='CrossEntropyLoss'),
    )
    cfg = ConfigDict(
        max_per_img=limit,
        min_bbox_size=0,
        nms=dict(type='nms', iou_threshold=0.7, offset=1),
    )
    results = InstanceData(
        bboxes=boxes.clone(),
        scores=scores.clone(),
        level_ids=torch.zeros(400, dtype=torch.long),
    )
    got = head._bbox_post_process(results, cfg, img_meta={})
    wanted = greedy_nms(boxes.tolist(), scores.tolist(), 0.7, limit)
    assert torch.equal(got.bboxes, boxes[wanted])
    assert torch.equal(got.scores, scores[wanted])


@pytest.mark.parametrize('use_sigmoid', [False, True])
@pytest.mark.parametrize('whole_cells', [False, True])
@pytest.mark.parametrize('candidates', [2, 30, 100, 5000])
def test_decoding_the_best_anchors_gives_what_decoding_all_gives(
    use_sigmoid, whole_cells, candidates
):
    """A least size that no box is under has all of them decoded."""
    torch.manual_seed(0)
    head = RFCNRPNHead(
        in_channels=8,
        anchor_generator=dict(
            type='RFCNAnchorGenerator', strides=[16], scales=[2, 4], ratios=[1.0, 2.0]
        ),
        bbox_coder=dict(type='RFCNBBoxCoder', target_stds=(0.1, 0.1, 0.4, 0.4)),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=use_sigmoid),
    )
    size = 15, 21  # the last row and column half outside of 232 x 328
    priors = head.prior_generator.grid_priors([size], device='cpu')
    maps = [torch.randn(1, 4 * n, *size) for n in (head.cls_out_channels, 4)]
    cfg = ConfigDict(
        nms_pre=candidates,
        max_per_img=20,
        whole_cells_only=whole_cells,
        nms=dict(type='nms', iou_threshold=0.7, offset=1),
    )
    found = []
    for least in (0, 1e-6):
        results = head._predict_by_feat_single(
            [maps[0][0]],
            [maps[1][0]],
            [None],
            priors,
            dict(img_shape=(232, 328), scale_factor=(1.0, 1.0)),
            ConfigDict(cfg, min_bbox_size=least),
        )
        found.append(results)
    assert 0 < len(found[0]) <= min(20, candidates)
    assert torch.equal(found[0].bboxes, found[1].bboxes)
    assert torch.equal(found[0].scores, found[1].scores)
