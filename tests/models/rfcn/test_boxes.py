"""Anchors and box coding against the release's numbers and loops."""

import math

import pytest
import torch
from mmdet.registry import TASK_UTILS
from torch.testing import assert_close

from dff.models import RFCNAnchorGenerator, RFCNBBoxCoder

# What the R-CNN family has always printed for base 16, scales 8, 16, 32 and ratios
# 0.5, 1, 2, in the order of its maps: ratio by ratio, scale by scale within.
RELEASED_ANCHORS = [
    [-84, -40, 99, 55],
    [-176, -88, 191, 103],
    [-360, -184, 375, 199],
    [-56, -56, 71, 71],
    [-120, -120, 135, 135],
    [-248, -248, 263, 263],
    [-36, -80, 51, 95],
    [-80, -168, 95, 183],
    [-168, -344, 183, 359],
]


@pytest.fixture
def anchors():
    return RFCNAnchorGenerator(
        strides=[16], base_sizes=[16], scales=[8, 16, 32], ratios=[0.5, 1.0, 2.0]
    )


def test_anchors_are_those_of_the_release(anchors):
    assert_close(anchors.base_anchors[0], torch.tensor(RELEASED_ANCHORS).float())
    assert anchors.num_base_priors == [9]


def test_anchors_of_a_map_run_along_rows_then_columns(anchors):
    grid = anchors.grid_priors([(2, 3)], device='cpu')[0]
    expected = [
        [x1 + 16 * col, y1 + 16 * row, x2 + 16 * col, y2 + 16 * row]
        for row in range(2)
        for col in range(3)
        for x1, y1, x2, y2 in RELEASED_ANCHORS
    ]
    assert_close(grid, torch.tensor(expected).float())


def test_parts_are_registered():
    coder = TASK_UTILS.build(dict(type='RFCNBBoxCoder', target_stds=(0.1,) * 4))
    assert isinstance(coder, RFCNBBoxCoder)


def decode_in_a_loop(box, delta, stds):
    x1, y1, x2, y2 = box
    dx, dy, dw, dh = (d * s for d, s in zip(delta, stds, strict=True))
    w, h = x2 - x1 + 1, y2 - y1 + 1
    cx, cy = x1 + (w - 1) / 2 + dx * w, y1 + (h - 1) / 2 + dy * h
    w, h = w * math.exp(dw), h * math.exp(dh)
    return [cx - (w - 1) / 2, cy - (h - 1) / 2, cx + (w - 1) / 2, cy + (h - 1) / 2]


BOXES = [[3, 5, 40, 21], [10, 0, 10, 0], [0, 7, 99, 49]]
DELTAS = [[1.0, -2.0, 0.5, 3.0], [-0.5, 0.0, 8.0, -1.0], [0.2, 0.1, -1.5, 0.0]]
STDS = (0.1, 0.2, 0.3, 0.4)


def test_decode_equals_a_loop():
    coder = RFCNBBoxCoder(target_stds=STDS)
    decoded = coder.decode(torch.tensor(BOXES).float(), torch.tensor(DELTAS))
    expected = [
        decode_in_a_loop(*item, STDS) for item in zip(BOXES, DELTAS, strict=True)
    ]
    assert_close(decoded, torch.tensor(expected), atol=1e-4, rtol=1e-5)


def test_zero_deltas_change_nothing():
    boxes = torch.tensor(BOXES).float()
    assert_close(RFCNBBoxCoder().decode(boxes, torch.zeros(3, 4)), boxes)


def test_decode_inverts_encode():
    coder = RFCNBBoxCoder(target_stds=STDS)
    boxes = torch.tensor(BOXES).float()
    targets = torch.tensor([[0.0, 1, 30, 28], [4, 4, 12, 9], [20, 20, 70, 90]])
    assert_close(
        coder.decode(boxes, coder.encode(boxes, targets)), targets, atol=1e-3, rtol=0
    )


def test_decoded_boxes_end_at_the_last_pixel():
    boxes = torch.tensor([[-5.0, -6, 120, 90], [130, 100, 140, 120]])
    decoded = RFCNBBoxCoder().decode(boxes, torch.zeros(2, 4), max_shape=(80, 100))
    assert_close(decoded, torch.tensor([[0.0, 0, 99, 79], [99, 79, 99, 79]]))


def test_several_deltas_a_box():
    boxes = torch.tensor(BOXES).float()[:1]
    coder = RFCNBBoxCoder(target_stds=STDS)
    both = coder.decode(boxes, torch.tensor([DELTAS[0] + DELTAS[2]]), (1000, 1000))
    one_by_one = [
        coder.decode(boxes, torch.tensor([delta]), (1000, 1000))
        for delta in (DELTAS[0], DELTAS[2])
    ]
    assert_close(both, torch.cat(one_by_one, dim=1))


def test_no_boxes():
    empty = torch.zeros(0, 4)
    assert RFCNBBoxCoder().decode(empty, empty, max_shape=(5, 5)).shape == (0, 4)
