import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from dff.visualization import (
    VideoVisualizer,
    draw_caption,
    draw_legend,
    flow_at_image_size,
    flow_to_color,
    overlay_flow,
    side_by_side,
)
from dff.visualization.caption import KEY_COLOR


def hue_of(dx, dy):
    """BGR colour of one direction, as a set of the channels that are strong."""
    color = flow_to_color(np.float32([[[dx, dy]]]), max_norm=float(np.hypot(dx, dy)))
    return color[0, 0]


def test_middlebury_directions():
    blue, green, red = hue_of(1, 0)  # right is red in the Middlebury key
    assert red > 200 and green < 60 and blue < 60
    blue, green, red = hue_of(-1, 0)  # left is cyan to blue
    assert blue > 200 and red < 60
    blue, green, red = hue_of(0, 1)  # down (image y) is yellow
    assert red > 200 and green > 150 and blue < 60
    blue, green, red = hue_of(0, -1)  # up is violet
    assert blue > 200 and green < 60


def test_colour_says_length_and_what_is_unknown():
    flow = np.zeros((1, 5, 2), np.float32)
    flow[0, :, 0] = [0, 1, 2, 4, np.nan]
    color = flow_to_color(flow, max_norm=2).astype(int)
    assert (color[0, 0] == 255).all()  # still: white
    whiteness = color[0, :3].min(axis=1)
    assert whiteness[0] > whiteness[1] > whiteness[2]
    assert color[0, 3].max() < color[0, 2].max()  # beyond the range: darker
    assert (color[0, 4] == 0).all()
    assert (flow_to_color(np.zeros((3, 4, 2))) == 255).all()
    with pytest.raises(ValueError, match=r'\(h, w, 2\), got \(2, 3, 4\)'):
        flow_to_color(np.zeros((2, 3, 4)))


def test_colours_are_those_of_mmcv_at_its_own_range():
    from mmcv.visualization import flow2rgb

    flow = np.random.default_rng(0).normal(size=(20, 30, 2)).astype(np.float32)
    ours = flow_to_color(flow)[..., ::-1].astype(float)
    np.testing.assert_allclose(ours, flow2rgb(flow.copy()) * 255, atol=1)


def test_flow_gets_the_pixels_of_the_frame():
    """A padded 64x96 input of a 50x80 image made from a 100x240 frame."""
    flow = torch.full((1, 2, 8, 12), 99.0)
    flow[:, 0, :7, :10], flow[:, 1, :7, :10] = 1.5, -2.0
    field = flow_at_image_size(flow, 8, img_shape=(50, 80), ori_shape=(100, 240))
    assert field.shape == (100, 240, 2)
    np.testing.assert_allclose(field[..., 0], 1.5 * 8 * 240 / 80, rtol=1e-5)
    np.testing.assert_allclose(field[..., 1], -2 * 8 * 100 / 50, rtol=1e-5)


def test_overlay_leaves_still_parts_alone():
    image = np.random.default_rng(1).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    flow = np.zeros((60, 80, 2), np.float32)
    flow[:, 40:, 0] = 3
    drawn = overlay_flow(image, flow)
    assert (drawn[:, :40] == image[:, :40]).all()
    assert (drawn[:, 40:] != image[:, 40:]).mean() > 0.8
    with pytest.raises(ValueError, match=r'\(60, 80\), got \(30, 40\)'):
        overlay_flow(image, flow[::2, ::2])


def test_only_key_frames_get_a_frame():
    image = np.full((120, 200, 3), 90, np.uint8)
    plain, key = (draw_caption(image, 'frame 3', is_key=k) for k in (False, True))
    assert (image == 90).all()
    assert (plain[-1] == 90).all() and (plain[:, -1] == 90).all()
    assert (key[-1] == (0, 200, 255)).all() and (key[:, -1] == (0, 200, 255)).all()
    assert (plain[:20, :60] != 90).any()


def test_side_by_side_keeps_order():
    left, right = np.full((40, 50, 3), 10, np.uint8), np.full((40, 50, 3), 20, np.uint8)
    both = side_by_side(left, right, titles=('Frame', 'DFF'))
    assert both.shape == (40, 100, 3)
    assert (both[-5:, :50] == 10).all() and (both[-5:, 50:] == 20).all()
    with pytest.raises(ValueError, match='same size'):
        side_by_side(left, right[:30])


def sample_with(boxes, scores, **meta):
    sample = DetDataSample(metainfo=meta)
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(boxes).float().reshape(-1, 4),
        scores=torch.tensor(scores).float(),
        labels=torch.zeros(len(scores), dtype=torch.long),
    )
    return sample


def test_boxes_land_where_they_are_in_the_palettes_colour():
    image = np.zeros((200, 300, 3), np.uint8)
    meta = dict(classes=('person',), palette=[(255, 0, 0)])
    sample = sample_with([[60, 80, 160, 180], [200, 80, 280, 180]], [0.9, 0.1])
    drawn = VideoVisualizer(meta, score_thr=0.3).draw(image, sample)
    red = (drawn[..., 2] > 150) & (drawn[..., :2].max(axis=2) < 60)  # BGR
    ys, xs = np.nonzero(red)
    assert abs(xs.min() - 60) <= 2 and abs(xs.max() - 160) <= 2
    assert abs(ys.min() - 80) <= 2 and abs(ys.max() - 180) <= 2


def test_no_boxes_and_too_short_a_palette():
    image = np.full((100, 150, 3), 30, np.uint8)
    meta = dict(classes=('a', 'b', 'c'), palette=[(1, 2, 3)])
    visualizer = VideoVisualizer(meta)
    sample = sample_with([], [], frame_id=4, is_key_frame=False, offset=2)
    drawn = visualizer.draw(image, sample, seconds=0.012)
    assert (drawn[60:] == 30).all() and (drawn[:20] != 30).any()
    sample = sample_with([[10, 50, 60, 90]], [0.9])
    sample.pred_instances.labels[:] = 2
    assert (visualizer.draw(image, sample)[50:] != 30).any()


CLASSES = ('road', 'car', 'tree')
PALETTE = [[128, 64, 128], [0, 0, 142], [107, 142, 35]]


def make_labels():
    """Three upright stripes of labels on a gray frame."""
    image = np.full((90, 150, 3), 100, np.uint8)
    labels = torch.arange(3).repeat_interleave(50).expand(1, 90, 150)
    sample = SegDataSample(metainfo=dict(frame_id=4, is_key_frame=True, offset=0))
    sample.pred_sem_seg = PixelData(data=labels)
    return image, sample


@pytest.mark.parametrize('opacity', [0.0, 0.5, 1.0])
def test_labels_are_blended_in_the_palettes_colour(opacity):
    image, sample = make_labels()
    meta = dict(classes=CLASSES, palette=PALETTE)
    drawn = VideoVisualizer(meta, opacity=opacity).draw(image, sample)
    for column, color in zip((25, 75, 125), PALETTE, strict=True):
        expected = (1 - opacity) * 100 + opacity * np.array(color[::-1])
        np.testing.assert_allclose(drawn[60, column], expected, atol=1)
    assert drawn[60, 0].tolist() == list(KEY_COLOR)  # a key frame
    unmarked = VideoVisualizer(meta).draw(image, sample, mark_key=False)
    assert unmarked[60, 0].tolist() != list(KEY_COLOR)
    assert sample.is_key_frame  # the sample is left as it is


def test_legend_names_every_class_within_the_width():
    for size in ((90, 150), (1024, 2048)):
        image = np.zeros((*size, 3), np.uint8)
        drawn = draw_legend(image, CLASSES, PALETTE)
        assert np.array_equal(drawn[: size[0]], image) and drawn.shape[1] == size[1]
        strip = drawn[size[0] :].reshape(-1, 3)
        for color in PALETTE:
            assert (strip == color[::-1]).all(axis=1).sum() >= 40
        letters = (strip > 200).all(axis=1).sum()
        assert letters > 20


def test_labels_need_a_palette_and_an_opacity():
    image, sample = make_labels()
    with pytest.raises(ValueError, match='must hold classes and palette'):
        VideoVisualizer(dict(classes=CLASSES)).draw(image, sample)
    with pytest.raises(ValueError, match=r'opacity must be in \[0, 1\], got 2'):
        VideoVisualizer(opacity=2)
