"""The stock model from random maps to detections, against plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from release_loops import detect, propose
from torch import nn
from torch.testing import assert_close

import dff  # noqa: F401  (registers the classes)

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CELLS = 16


class Maps(nn.Module):
    """Answer given maps, whatever comes in."""

    def __init__(self, maps):
        super().__init__()
        self.maps = maps

    def forward(self, x):
        return self.maps


@pytest.fixture(scope='module')
def model():
    """R-FCN of the config, with a small backbone that is never run."""
    cfg = Config.fromfile(CONFIGS / '_base_/models/rfcn_r101.py').model
    cfg.backbone.update(depth=18, init_cfg=None)
    cfg.neck.in_channels = 512
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg).eval()
    model.extract_feat = lambda images: (torch.zeros(1, 1024, 1, 1),)
    return model


def random_maps(seed, size, *, spread=1.0):
    """Maps of an image of this size; no two objectness scores are alike.

    Returns:
        scores (18, h, w) and deltas (36, h, w) of the proposals, class maps
        (31 * 49, h, w) and box maps (4 * 49, h, w).
    """
    rng = np.random.default_rng(seed)
    h, w = (-(-side // CELLS) for side in size)
    gaps = rng.permutation(np.linspace(-6, 6, 9 * h * w)).reshape(9, h, w)
    background = rng.normal(size=(9, h, w))
    scores = np.stack([gaps + background, background], axis=1).reshape(18, h, w)
    deltas = rng.normal(size=(36, h, w)) * spread
    cls_maps = rng.normal(size=(31 * 49, h, w)) * 6
    box_maps = rng.normal(size=(4 * 49, h, w)) * 4 * spread
    maps = scores, deltas, cls_maps, box_maps
    return [torch.from_numpy(m).float()[None] for m in maps]


def meta_of(size, factor):
    return dict(
        img_shape=size,
        ori_shape=tuple(round(side / factor) for side in size),
        scale_factor=(factor, factor),
    )


def set_maps(model, maps):
    model.rpn_head.rpn_cls, model.rpn_head.rpn_reg = Maps(maps[0]), Maps(maps[1])
    model.roi_head.rfcn_cls, model.roi_head.rfcn_reg = Maps(maps[2]), Maps(maps[3])


def run(model, maps, size, factor):
    set_maps(model, maps)
    sample = DetDataSample(metainfo=meta_of(size, factor))
    with torch.no_grad():
        (result,) = model.predict(torch.zeros(1, 3, *size), [sample])
    return result.pred_instances


def run_rpn(model, maps, size, factor=1.0, **changes):
    cfg = model.rpn_head.test_cfg.copy()
    cfg.update(changes)
    with torch.no_grad():
        (found,) = model.rpn_head.predict_by_feat(
            [maps[0]], [maps[1]], batch_img_metas=[meta_of(size, factor)], cfg=cfg
        )
    return found.bboxes


# Odd sizes; 411 x 629 has more than 6000 anchors; 96 x 112 fewer boxes than 300.
@pytest.mark.parametrize(
    'seed, size, factor',
    [
        (0, (411, 629), 1.6),
        (1, (411, 629), 0.78125),
        (2, (203, 337), 1.25),
        (3, (337, 203), 0.9),
        (4, (96, 112), 2.0),
        (5, (122, 165), 1.0),
    ],
)
def test_boxes_scores_and_order_of_the_whole_chain(model, seed, size, factor):
    maps = random_maps(seed, size)
    found = run(model, maps, size, factor)
    scores, deltas, cls_maps, box_maps = (m[0].numpy() for m in maps)
    proposals = propose(scores, deltas, size)
    expected = detect(proposals, cls_maps, box_maps, size, factor)
    assert len(found.bboxes) == len(expected) > 50
    assert found.labels.tolist() == [label for _, label, _ in expected]
    boxes = torch.tensor([box for *_, box in expected], dtype=torch.float32)
    assert_close(found.bboxes, boxes, atol=2e-3, rtol=1e-5)
    chances = torch.tensor([score for score, *_ in expected], dtype=torch.float32)
    assert_close(found.scores, chances, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize('seed, size', [(0, (411, 629)), (1, (250, 411))])
@pytest.mark.parametrize(
    'factor, changes',
    [
        (1.0, dict()),
        (1.0, dict(nms_pre=200)),
        (1.5, dict(min_bbox_size=16)),  # 24 pixels of the network's image
        (1.5, dict(min_bbox_size=40, nms_pre=400)),
        (1.0, dict(whole_cells_only=False)),
    ],
)
def test_proposals(model, seed, size, factor, changes):
    """Shrunk by large deltas, so that many boxes are too small."""
    maps = random_maps(seed, size, spread=3.0)
    found = run_rpn(model, maps, size, factor, **changes)
    expected = propose(
        maps[0][0].numpy(),
        maps[1][0].numpy(),
        size,
        min_size=changes.get('min_bbox_size', 0) * factor,
        nms_pre=changes.get('nms_pre', 6000),
        only_whole=changes.get('whole_cells_only', True),
    )
    assert_close(found, torch.tensor(expected), atol=2e-3, rtol=1e-5)


def test_training_uses_the_same_proposals(model):
    """`rpn_head.loss_and_predict` as `TwoStageDetector.loss` calls it."""
    size = (203, 337)
    maps = random_maps(6, size)
    set_maps(model, maps)
    sample = DetDataSample(metainfo=dict(meta_of(size, 1.0), pad_shape=size))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[20.0, 30, 160, 170]]), labels=torch.tensor([0])
    )
    proposal_cfg = model.train_cfg.get('rpn_proposal', model.test_cfg.rpn)
    _, (found,) = model.rpn_head.loss_and_predict(
        (torch.zeros(1, 1024, 1, 1),), [sample], proposal_cfg=proposal_cfg
    )
    expected = propose(maps[0][0].numpy(), maps[1][0].numpy(), size)
    assert_close(found.bboxes, torch.tensor(expected), atol=2e-3, rtol=1e-5)


def test_sides_grow_without_limit_and_stay_finite(model):
    """The release has no limit of a side's change; the clip bounds the box."""
    coder = model.roi_head.bbox_coder
    box = torch.tensor([[40.0, 30, 43, 31]])
    deltas = torch.tensor([[0.0, 0, 25, 2000]])  # e^5 = 148 times; more than floats
    decoded = coder.decode(box, deltas, max_shape=(500, 1000))
    reach = (4 * np.exp(5.0) - 1) / 2
    expected = torch.tensor([[0.0, 0, 41.5 + float(reach), 499]])
    assert_close(decoded, expected, atol=1e-2, rtol=0)
