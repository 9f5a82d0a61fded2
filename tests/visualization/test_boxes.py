"""Boxes, masks and label maps that OpenCV draws, against loops and mmdet's colours."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmdet.visualization.palette import get_palette
from mmengine.structures import InstanceData

from dff.visualization import VideoVisualizer, overlay_flow
from dff.visualization.boxes import draw_boxes
from dff.visualization.flow import FLOW_RANGE, flow_to_color
from dff.visualization.label_map import blend_labels

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # BGR


def draw(image, boxes, labels, scores=None, *, classes=('a', 'b', 'c'), **fields):
    instances = InstanceData(
        bboxes=torch.tensor(boxes).float(), labels=torch.tensor(labels), **fields
    )
    if scores is not None:
        instances.scores = torch.tensor(scores)
    colors = [RED, GREEN, BLUE]
    return draw_boxes(image, instances, classes=classes, palette=colors, score_thr=0.3)


def canvas():
    return np.full((240, 320, 3), 90, np.uint8)


def test_the_best_is_on_top_and_the_weak_are_left_out():
    box, other = [50, 60, 150, 200], [10, 60, 40, 200]
    drawn = draw(canvas(), [box, box, other], [0, 1, 2], [0.9, 0.6, 0.3])
    assert drawn[200, 100].tolist() == list(RED)
    assert not (drawn == BLUE).all(axis=2).any()
    drawn = draw(canvas(), [box, box], [0, 1], [0.6, 0.9])
    assert drawn[200, 100].tolist() == list(GREEN)
    assert (canvas() == draw(canvas(), [box], [0], [0.1])).all()
    # annotations have no score: all are drawn
    assert draw(canvas(), [other], [2])[100, 10].tolist() == list(BLUE)


def test_boxes_outside_stay_visible():
    drawn = draw(
        canvas(), [[-50, -9, 900, 700], [float('nan')] * 4], [0, 1], [0.9, 0.8]
    )
    assert drawn[239, 100].tolist() == drawn[100, 319].tolist() == list(RED)


@pytest.mark.parametrize('corner', [(2, 2), (280, 2), (2, 220), (280, 220)])
def test_a_label_is_inside_of_the_image(corner):
    """As many pixels of it as in the middle, in corners and out of long names."""
    pixels = []
    for x, y in ((150, 100), corner):
        drawn = draw(
            canvas(), [[x, y, x + 3, y + 3]], [0], [0.5], classes=['traffic light']
        )
        changed = (drawn != 90).any(axis=2)
        pixels.append(changed.sum())
    assert pixels[1] >= 0.98 * pixels[0] - 12  # the box itself may be under it
    letters = (drawn > 180).all(axis=2).sum()
    assert letters > 20  # white on red


def test_the_text_grows_with_the_frame():
    heights = []
    for zoom in (1, 2, 4):
        image = np.full((240 * zoom, 320 * zoom, 3), 90, np.uint8)
        box = [[100 * zoom, 100 * zoom, 101 * zoom, 101 * zoom]]
        drawn = draw(image, box, [0], [0.5], classes=['W'])
        heights.append(np.ptp(np.nonzero((drawn != 90).any(axis=2))[0]))
    assert heights[0] < heights[1] < heights[2]


def test_tracks_have_colours_of_their_own():
    boxes = [[10, 60, 40, 200], [60, 60, 90, 200]]
    ids = dict(instances_id=torch.tensor([1, 2]))
    drawn = draw(canvas(), boxes, [0, 0], [0.9, 0.8], **ids)
    assert drawn[150, 10].tolist() == list(GREEN)
    assert drawn[150, 60].tolist() == list(BLUE)


@pytest.mark.parametrize('kind', ['tensor', 'bitmap'])
def test_masks_are_blended(kind):
    mask = np.zeros((2, 240, 320), bool)
    mask[0, 100:150, 50:120] = True  # the other one is empty
    masks = torch.from_numpy(mask)
    if kind == 'bitmap':
        masks = BitmapMasks(mask.astype(np.uint8), 240, 320)
    boxes = [[50, 60, 150, 200], [200, 60, 250, 200]]
    drawn = draw(canvas(), boxes, [0, 1], [0.9, 0.8], masks=masks)
    assert drawn[120, 80].tolist() == [45, 45, 172]
    assert drawn[100, 80].tolist() == list(RED)  # the outline
    assert drawn[170, 80].tolist() == [90, 90, 90]


def test_colours_without_a_palette_are_those_of_mmdet():
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.tensor([[50.0, 60, 150, 200]])),
        labels=torch.tensor([2]),
        scores=torch.tensor([0.9]),
    )
    drawn = VideoVisualizer(dict(classes=('a', 'b', 'c'))).draw_results(
        canvas(), sample
    )
    expected = get_palette('random', 3)[2]
    assert drawn[200, 100].tolist() == [int(c) for c in expected[::-1]]
    assert VideoVisualizer(dict(palette='coco')).draw_results(
        canvas(), sample
    )[200, 100].tolist() == list(get_palette('coco', 80)[2][::-1])  # fmt: skip


@pytest.mark.parametrize('dtype', [np.uint8, np.int64])
@pytest.mark.parametrize('count', [3, 300])
def test_labels_against_a_loop(dtype, count):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    palette = rng.integers(0, 256, (count, 3))
    labels = rng.integers(0, 4, (20, 30)).astype(dtype)
    labels[0, 0] = 255
    if dtype is np.int64:
        labels[0, 1:3] = -1, 299
    drawn = blend_labels(image, labels, palette.tolist(), opacity=0.3)
    for y, x in np.ndindex(labels.shape):
        color = np.zeros(3)
        if 0 <= labels[y, x] < count:
            color = palette[labels[y, x]][::-1]
        expected = 0.7 * image[y, x] + 0.3 * color
        np.testing.assert_allclose(drawn[y, x], expected, atol=1)
    with pytest.raises(ValueError, match=r'image \(20, 30\), got \(5, 30\)'):
        blend_labels(image, labels[:5], palette.tolist(), opacity=1)


def test_flow_from_the_table_is_the_computed_one():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 80, 3), np.uint8)
    flow = rng.normal(0, 2, (60, 80, 2)).astype(np.float32)
    flow[0, 0] = np.nan
    longest = FLOW_RANGE * 100
    drawn = overlay_flow(image, flow)
    norm = np.linalg.norm(np.nan_to_num(flow), axis=2)
    weight = 0.5 * np.clip(2 * norm / longest, 0, 1)[..., None]
    color = flow_to_color(flow, max_norm=longest)
    expected = image * (1 - weight) + color * weight
    # full colour is where the table has a step
    is_smooth = abs(norm - longest) > 0.02 * longest
    error = np.abs(drawn - expected)[is_smooth]
    assert np.quantile(error, 0.99) < 5 and error.max() < 20 and error.mean() < 1
