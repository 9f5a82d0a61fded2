"""The motion split on cases computed by hand."""

import numpy as np
import pytest
from vid_samples import box_at, evaluate, gt, make_sample, results

from dff.evaluation import VIDMetric
from dff.evaluation.motion_iou import MotionSplit, classify_speeds, compute_motion_ious


def test_motion_iou_by_hand():
    """A square of 100 pixels stands, another moves by 20 a frame: IoU 80 / 120."""
    samples = [
        make_sample(
            [], [gt(box_at(0), track=1), gt(box_at(20 * f), track=2)], frame_id=f
        )
        for f in range(2)
    ]
    samples.append(make_sample([], [gt(box_at(0), track=1)], frame_id=12))
    samples.append(make_sample([], [gt(box_at(50), track=1)], video_id=9))
    ious = compute_motion_ious(results(samples))
    np.testing.assert_allclose(ious[0], [1, 2 / 3])  # frame 12 is 12 frames away
    np.testing.assert_allclose(ious[1], [1, 2 / 3])  # and 11 from here
    np.testing.assert_allclose(ious[2], [0])  # no neighbour: as released, fast
    np.testing.assert_allclose(ious[3], [0])  # the track of another video


def test_a_reach_of_ten_frames():
    boxes = [(0, 0), (10, 50), (20, 0)]  # frame, x: 50 of 150 pixels shared
    samples = [make_sample([], [gt(box_at(x), track=0)], frame_id=f) for f, x in boxes]
    ious = compute_motion_ious(results(samples))
    np.testing.assert_allclose(np.concatenate(ious), [1 / 3] * 3)


def test_borders_belong_to_medium():
    assert classify_speeds(np.array([0.91, 0.9, 0.8, 0.7, 0.69, 0])).tolist() == [
        0, 1, 1, 1, 2, 2,
    ]  # fmt: skip


def stands_and_runs(rows_of_frame=lambda frame: [], num_frames=4, **extra):
    """Make frames with a track that stands at x = 0 and one that runs, y = 500."""
    return [
        make_sample(
            rows_of_frame(frame),
            [gt(box_at(0), track=1), gt(box_at(60 * frame, 500), track=2)],
            frame_id=frame,
            **extra,
        )
        for frame in range(num_frames)
    ]


def figures_of(samples, **options):
    return evaluate(samples, with_motion_split=True, **options)


def test_detections_of_other_speeds_are_ignored():
    """Every slow box is found at 0.9, the fast ones at 0.5 beside a better wrong one.

    For fast, the slow detections do not count, nor does a second one on the slow box
    (nearer to it); for slow the fast ones do not.
    """
    samples = stands_and_runs(
        lambda frame: [
            [0, 0.9, *box_at(0)],
            [0, 0.8, *box_at(5)],  # the slow box is taken: ignored for fast
            [0, 0.5, *box_at(60 * frame, 500)],
        ]
    )
    figures = figures_of(samples)
    assert figures['vid/slow/share'] == figures['vid/fast/share'] == 0.5
    assert figures['vid/fast/AP50'] == 1.0
    assert figures['vid/slow/AP50'] == 1.0  # the second ones rank below all four
    assert np.isnan(figures['vid/medium/AP50'])
    # all: 4 right, 4 wrong, 4 right
    assert figures['vid/AP50'] == pytest.approx((4 * 1 + 4 * 8 / 12) / 8)


def test_a_detection_nearer_to_the_other_speed_is_ignored():
    """IoU 1/3 with the fast box, less with the slow one: wrong for fast alone."""
    samples = stands_and_runs(
        lambda frame: [
            [0, 0.9, *box_at(60 * frame + 50, 500)],
            [0, 0.5, *box_at(0)],
            [0, 0.4, *box_at(60 * frame, 500)],
        ]
    )
    figures = figures_of(samples)
    assert figures['vid/slow/AP50'] == 1.0
    assert figures['vid/fast/AP50'] == pytest.approx(0.5)  # 4 wrong, 4 right


def test_a_detection_that_touches_nothing_is_shared():
    """Both boxes are as near (0): weight 1/2, the share out of range, a frame."""
    samples = stands_and_runs(
        lambda frame: [[0, 0.9, *box_at(900)], [0, 0.5, *box_at(0)]]
    )
    figures = figures_of(samples)
    assert figures['vid/slow/AP50'] == pytest.approx(4 / (4 + 4 * 0.5))


def test_errors_in_frames_without_the_class_are_weighted_by_the_share():
    """Class b is nowhere else: 3 of 9 boxes are slow, 6 fast; 6 errors in front."""
    runs = [
        gt(box_at(60 * f, 300 * k), track=k) for k in range(2) for f in range(3)
    ]  # fmt: skip
    samples = [
        make_sample(
            [[1, 0.9, *box_at(900)], [1, 0.9, *box_at(950)], [0, 0.5, *box_at(0, 900)]],
            [gt(box_at(0, 900), track=7), runs[frame], runs[3 + frame]],
            frame_id=frame,
        )
        for frame in range(3)
    ]
    samples.append(make_sample([[1, 0.1, *box_at(0)]], [gt(box_at(0), 1, track=1)],
                               video_id=1))  # fmt: skip
    samples.append(make_sample([], [gt(box_at(0), 1, track=1)], video_id=1, frame_id=1))
    figures = figures_of(samples, classwise=True)
    assert figures['vid/slow/share'] == pytest.approx(5 / 11)
    # 6 errors of weight 5/11, one of two boxes found
    assert figures['vid/slow/AP50_b'] == pytest.approx(0.5 / (1 + 6 * 5 / 11))


def test_boxes_to_ignore_have_no_speed():
    samples = stands_and_runs(
        lambda frame: [[0, 0.9, *box_at(700)], [0, 0.8, *box_at(700)],
                       [0, 0.5, *box_at(0)]]
    )  # fmt: skip
    without = figures_of(samples)
    for sample in samples:
        crowd = gt(box_at(700), track=-1, ignore=1)
        sample.set_metainfo(dict(instances=[*sample.instances, crowd]))
    figures = figures_of(samples)
    assert figures['vid/slow/AP50'] == 1.0 > without['vid/slow/AP50']
    assert figures['vid/slow/share'] == 0.5


def test_tolerance_is_a_switch_of_its_own():
    """A 10-pixel square met by IoU 1/3: enough with the tolerance (1/4)."""
    samples = [
        make_sample(
            [[0, 0.5, *box_at(5, side=10)]],
            [gt(box_at(0, side=10), track=0)],
            frame_id=frame,
        )
        for frame in range(2)
    ]
    figures = figures_of(samples)
    assert (figures['vid/AP50'], figures['vid/slow/AP50']) == (1, 0)
    figures = figures_of(samples, with_motion_tolerance=True)
    assert (figures['vid/AP50'], figures['vid/slow/AP50']) == (1, 1)
    figures = figures_of(
        samples, with_small_box_tolerance=False, with_motion_tolerance=True
    )
    assert (figures['vid/AP50'], figures['vid/slow/AP50']) == (0, 1)


def test_a_class_without_boxes_of_a_speed_is_left_out():
    samples = stands_and_runs(lambda frame: [[1, 0.9, *box_at(0)]])
    figures = figures_of(samples, classwise=True)
    assert np.isnan(figures['vid/slow/AP50_b'])
    assert figures['vid/slow/AP50'] == 0.0  # of class a alone


def test_boxes_without_a_track_are_refused():
    metric = VIDMetric(with_motion_split=True)
    sample = make_sample([], [dict(bbox=box_at(0), bbox_label=0)])
    with pytest.raises(ValueError, match='an instance_id .*got 1 of 1 boxes'):
        metric.process(None, [sample.to_dict()])
    still = make_sample([], [gt(box_at(0), track=1)], img_id=3)
    still.set_metainfo(dict(video_id=None, frame_id=None))
    with pytest.raises(ValueError, match='needs videos'):
        metric.process(None, [still.to_dict()])


def test_split_alone():
    split = MotionSplit(results(stands_and_runs()))
    assert split.shares == dict(slow=0.5, medium=0, fast=0.5)
    assert split.class_aps(0, 0.5) == dict(
        slow=0, medium=pytest.approx(np.nan, nan_ok=True), fast=0
    )
