import numpy as np
import pytest

from dff.datasets.synthetic_video import (
    SYNTHETIC_CLASSES,
    SyntheticVideo,
    rigid_shift_video,
)


def test_equal_seeds_give_equal_videos():
    first, again, other = (
        [frame.image for frame in SyntheticVideo(3, size=(96, 64), seed=seed)]
        for seed in (5, 5, 6)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[2])


def test_half_the_speed_is_the_same_scene_at_twice_the_frame_rate():
    fast = SyntheticVideo(3, size=(96, 64), seed=5)
    slow = SyntheticVideo(5, size=(96, 64), seed=5, speed=0.5)
    for time in range(3):
        assert np.array_equal(fast.render(time).image, slow.render(2 * time).image)
        assert np.array_equal(fast.render(time).boxes, slow.render(2 * time).boxes)
    assert not np.array_equal(slow.render(1).image, slow.render(2).image)
    with pytest.raises(ValueError, match='speed must be positive, got 0'):
        SyntheticVideo(3, speed=0)


def test_boxes_are_the_extents_of_what_is_visible():
    """Paint the shapes one by one, in a loop, and look what is left of each."""
    video = SyntheticVideo(12, size=(48, 36), seed=3, num_objects=7)
    hidden = 0
    for time, frame in enumerate(video):
        canvas = np.zeros((36, 48), np.int64)
        whole = {}
        for number, shape in enumerate(video.shapes, start=1):
            (cx, cy), radius, angle = shape.pose(time)
            whole[number] = 0
            for y in range(36):
                for x in range(48):
                    if covers(shape.label, x - cx, y - cy, radius, angle):
                        canvas[y, x] = number
                        whole[number] += 1
        expected = {}
        for number in whole:
            ys, xs = np.where(canvas == number)
            if len(xs):
                box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
                expected[number] = box, len(xs) < 0.15 * whole[number]
            hidden += not len(xs)
        found = dict(zip(frame.instance_ids, frame.boxes.tolist(), strict=True))
        assert found == {number: box for number, (box, _) in expected.items()}
        assert frame.is_ignored.tolist() == [flag for _, flag in expected.values()]
        labels = [0, *(shape.label + 1 for shape in video.shapes)]
        assert np.array_equal(frame.label_map, np.array(labels)[canvas])
    assert hidden, 'no shape was ever hidden, so dropping was not tested'


def covers(label, x, y, radius, angle):
    if SYNTHETIC_CLASSES[label] == 'circle':
        return x * x + y * y <= radius * radius
    sides = dict(square=4, triangle=3)[SYNTHETIC_CLASSES[label]]
    turns = angle + 2 * np.pi * np.arange(sides + 1) / sides
    corners = radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    for (ax, ay), (bx, by) in zip(corners[:-1], corners[1:], strict=True):
        if (bx - ax) * (y - ay) - (by - ay) * (x - ax) < 0:
            return False
    return True


def test_texture_moves_with_its_shape():
    """A pixel of a shape is found again where its pose takes it."""
    video = SyntheticVideo(9, size=(320, 240), seed=1, num_objects=1)
    frames = list(video)
    poses = [video.shapes[0].pose(time) for time in (0, 8)]
    (c0, r0, a0), (c1, r1, a1) = poses
    moved, stayed = [], []
    for dx in np.linspace(-0.4, 0.4, 9):
        for dy in np.linspace(-0.4, 0.4, 9):
            points = []
            for centre, radius, angle in ((c0, r0, a0), (c1, r1, a1)):
                cos, sin = np.cos(angle), np.sin(angle)
                turned = np.array([cos * dx - sin * dy, sin * dx + cos * dy])
                points.append(np.round(centre + radius * turned).astype(int))
            if all((0 <= p).all() and (p < (320, 240)).all() for p in points):
                (x0, y0), (x1, y1) = points
                here = frames[0].image[y0, x0].astype(int)
                moved.append(abs(here - frames[8].image[y1, x1]).mean())
                stayed.append(abs(here - frames[8].image[y0, x0]).mean())
    assert len(moved) > 20
    assert np.mean(moved) < 0.5 * np.mean(stayed)


@pytest.mark.parametrize('step', [(3, -2), (-4, 0), (0, 5)])
def test_rigid_shift_is_a_shift(step):
    frames = rigid_shift_video(4, step=step, size=(80, 60), seed=2)
    height, width = 60, 80
    for time, frame in enumerate(frames):
        dx, dy = time * step[0], time * step[1]
        for y in range(height):
            for x in range(width):
                if 0 <= x - dx < width and 0 <= y - dy < height:
                    before = frames[0].image[y - dy, x - dx]
                    assert (frame.image[y, x] == before).all()
    whole = {}
    for time, frame in enumerate(frames):
        for number, box in zip(frame.instance_ids, frame.boxes, strict=True):
            inside = (box[:2] > 0).all() and box[2] < width and box[3] < height
            if inside:
                whole.setdefault(number, []).append(box - time * np.tile(step, 2))
    assert any(len(boxes) > 1 for boxes in whole.values())
    for boxes in whole.values():
        assert all(np.array_equal(box, boxes[0]) for box in boxes)


def test_bad_sizes_are_errors():
    with pytest.raises(ValueError, match='num_frames must be >= 1, got 0'):
        SyntheticVideo(0)
    with pytest.raises(ValueError, match='at least 32x32, got 16x40'):
        SyntheticVideo(1, size=(16, 40))
