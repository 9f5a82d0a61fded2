"""Matching and AP against loops written from the definition."""

import numpy as np
import pytest

from dff.evaluation.average_precision import (
    FALSE_POSITIVE,
    IGNORED,
    TRUE_POSITIVE,
    average_precision,
    legacy_iou,
    match_boxes,
    match_thresholds,
)


def loop_iou(a, b):
    """Count pixels: integer boxes own their last row and column."""
    cells = {
        (x, y)
        for x in range(int(a[0]), int(a[2]) + 1)
        for y in range(int(a[1]), int(a[3]) + 1)
    }
    others = {
        (x, y)
        for x in range(int(b[0]), int(b[2]) + 1)
        for y in range(int(b[1]), int(b[3]) + 1)
    }
    return len(cells & others) / len(cells | others)


def loop_ap(scores, is_right, num_gt):
    """Step through recall and take the best precision at that recall or beyond."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    hits, curve = 0, []
    for rank, i in enumerate(order, start=1):
        hits += bool(is_right[i])
        curve.append((hits / num_gt, hits / rank))
    area, last = 0.0, 0.0
    for recall, _ in curve:
        area += (recall - last) * max(p for r, p in curve if r >= recall)
        last = recall
    return area


def random_boxes(rng, count):
    corner = rng.integers(0, 20, (count, 2))
    return np.concatenate([corner, corner + rng.integers(0, 15, (count, 2))], 1).astype(
        float
    )


def test_iou_counts_pixels():
    rng = np.random.default_rng(0)
    boxes, gt_boxes = random_boxes(rng, 6), random_boxes(rng, 5)
    expected = [[loop_iou(a, b) for b in gt_boxes] for a in boxes]
    np.testing.assert_allclose(legacy_iou(boxes, gt_boxes), expected, atol=1e-12)


def test_small_boxes_need_less():
    boxes = np.array([[0, 0, 9, 19], [0, 0, 99, 99]], dtype=float)  # 10x20, 100x100
    thresholds = match_thresholds(boxes, 0.5, with_small_box_tolerance=True)
    np.testing.assert_allclose(thresholds, [10 * 20 / (20 * 30), 0.5])
    thresholds = match_thresholds(boxes, 0.9, with_small_box_tolerance=True)
    np.testing.assert_allclose(thresholds, [1 / 3, 100 * 100 / 110**2])
    thresholds = match_thresholds(boxes, 0.5, with_small_box_tolerance=False)
    np.testing.assert_array_equal(thresholds, [0.5, 0.5])


def test_second_detection_takes_the_next_free_box():
    gt_boxes = np.array([[0, 0, 99, 99], [0, 0, 79, 99]], dtype=float)
    boxes = np.array([[0, 0, 99, 99], [0, 0, 95, 99], [0, 0, 99, 99]], dtype=float)
    status = match_boxes(
        boxes,
        gt_boxes,
        thresholds=np.array([0.5, 0.5]),
        is_ignored=np.zeros(2, dtype=bool),
    )
    assert status.tolist() == [TRUE_POSITIVE, TRUE_POSITIVE, FALSE_POSITIVE]


def test_ignored_boxes_count_neither_way():
    gt_boxes = np.array([[0, 0, 49, 49], [60, 60, 99, 99]], dtype=float)
    boxes = np.array([[60, 60, 99, 99]] * 2 + [[0, 0, 49, 49], [0, 60, 30, 99]], float)
    status = match_boxes(
        boxes,
        gt_boxes,
        thresholds=np.array([0.5, 0.5]),
        is_ignored=np.array([False, True]),
    )
    assert status.tolist() == [IGNORED, IGNORED, TRUE_POSITIVE, FALSE_POSITIVE]
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.6]), status, 1) == 1.0


@pytest.mark.parametrize('seed', range(5))
def test_ap_is_the_area_under_the_envelope(seed):
    rng = np.random.default_rng(seed)
    scores = rng.permutation(40) / 40
    status = (rng.random(40) < 0.4).astype(np.int8)
    expected = loop_ap(scores, status, 25)
    assert average_precision(scores, status, 25) == pytest.approx(expected, abs=1e-12)


def test_ap_without_detections_or_boxes():
    nothing = np.zeros(0)
    assert average_precision(nothing, nothing.astype(np.int8), 3) == 0
    assert np.isnan(average_precision(nothing, nothing.astype(np.int8), 0))


def test_equal_scores_keep_their_order():
    scores = np.array([0.5, 0.5])
    assert average_precision(scores, np.array([1, 0], np.int8), 1) == 1.0
    assert average_precision(scores, np.array([0, 1], np.int8), 1) == 0.5
