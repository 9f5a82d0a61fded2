"""The motion split against loops from its definition."""

import numpy as np
import pytest
from vid_samples import box_at, evaluate, gt, make_sample, results

from dff.evaluation import VIDMetric
from dff.evaluation.motion_iou import compute_motion_ious

SPEEDS = dict(slow=(0.9, 2), medium=(0.7, 0.9), fast=(-1, 0.7))


def loop_iou(a, b):
    across = min(a[2], b[2]) - max(a[0], b[0]) + 1
    down = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if across <= 0 or down <= 0:
        return 0.0
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return across * down / (sum(areas) - across * down)


def loop_motion(samples, sample, instance):
    ious = []
    for other in samples:
        if other is sample or other.video_id != sample.video_id:
            continue
        if abs(other.frame_id - sample.frame_id) <= 10:
            for item in other.instances:
                if item['instance_id'] == instance['instance_id']:
                    ious.append(loop_iou(item['bbox'], instance['bbox']))
                    break
    return sum(ious) / len(ious) if ious else 0.0


def loop_is_in(motion, speed):
    low, high = SPEEDS[speed]
    is_medium = speed == 'medium'
    return (low <= motion <= high) if is_medium else (low < motion < high)


def loop_speed_ap(samples, label, speed):
    """Compute the AP of a class and speed, one pair at a time.

    Written as the released evaluation is described: maxima over all boxes, free or
    taken, decide whether a detection without a match counts.
    """
    motion = {
        (s.video_id, s.frame_id, k): loop_motion(samples, s, item)
        for s in samples
        for k, item in enumerate(s.instances)
    }
    in_range = {key: loop_is_in(value, speed) for key, value in motion.items()}
    share = sum(in_range.values()) / len(in_range)
    rows, num_gt = [], 0
    for s in samples:
        boxes = [
            (item['bbox'], in_range[s.video_id, s.frame_id, k])
            for k, item in enumerate(s.instances)
            if item['bbox_label'] == label
        ]
        num_gt += sum(inside for _, inside in boxes)
        taken = set()
        found = s.pred_instances
        order = sorted(range(len(found)), key=lambda i: -float(found.scores[i]))
        for i in [i for i in order if int(found.labels[i]) == label]:
            score = float(found.scores[i])
            ious = [loop_iou(found.bboxes[i].tolist(), box) for box, _ in boxes]
            free = [k for k in range(len(boxes)) if k not in taken and ious[k] >= 0.5]
            if free:
                best = max(free, key=lambda k: ious[k])
                taken.add(best)
                if boxes[best][1]:
                    rows.append((score, 1, 0))
                continue
            near_in = max([v for v, b in zip(ious, boxes, strict=True) if b[1]] + [-1])
            near_out = max(
                [v for v, b in zip(ious, boxes, strict=True) if not b[1]] + [-1]
            )
            if not boxes:
                rows.append((score, 0, share))
            elif near_in > near_out:
                rows.append((score, 0, 1))
            elif near_in == near_out:
                rows.append((score, 0, sum(not b[1] for b in boxes) / len(boxes)))
    if not num_gt:
        return float('nan')
    rows.sort(key=lambda row: -row[0])
    points, right, wrong = [], 0, 0
    for _, hit, weight in rows:
        right, wrong = right + hit, wrong + weight
        points.append((right / num_gt, right / (right + wrong) if right else 0))
    area, last = 0.0, 0.0
    for k, (recall, _) in enumerate(points):
        area += (recall - last) * max(p for _, p in points[k:])
        last = recall
    return area


def random_tracks(seed, num_frames=25, *, video_id=0):
    """Make tracks of all speeds with gaps, and detections near, on and off them."""
    rng = np.random.default_rng(seed)
    tracks = [
        (rng.uniform(0, 300, 2), rng.uniform(40, 80, 2), speed)
        for speed in rng.permutation([0, 0, 0, 0.6, 0.8, 0.8, 1, 3, 6])
    ]
    samples = []
    for frame_id in range(num_frames):
        instances, rows = [], []
        for track, (corner, size, speed) in enumerate(tracks):
            if rng.random() < 0.35:
                continue
            corner = corner + speed * frame_id
            box = np.concatenate([corner, corner + size])
            instances.append(gt(box.tolist(), track % 3, track=track))
            for _ in range(rng.integers(0, 4)):
                noisy = box + rng.normal(0, 8, 4)
                rows.append([track % 3, rng.random(), *noisy])
        for _ in range(rng.integers(0, 4)):
            corner = rng.uniform(0, 400, 2)
            rows.append([rng.integers(3), rng.random(), *corner, *(corner + 40)])
        samples.append(
            make_sample(rows, instances, video_id=video_id, frame_id=frame_id)
        )
    return samples


@pytest.mark.parametrize('seed', range(4))
def test_equals_the_loop(seed):
    samples = random_tracks(seed) + random_tracks(seed + 50, 14, video_id='other')
    classes = ('a', 'b', 'c')
    figures = evaluate(samples, classes, with_motion_split=True, classwise=True)
    for speed in SPEEDS:
        aps = [loop_speed_ap(samples, label, speed) for label in range(3)]
        for name, ap in zip(classes, aps, strict=True):
            got = figures[f'vid/{speed}/AP50_{name}']
            assert got == pytest.approx(ap, abs=1e-12, nan_ok=True)
        mean = pytest.approx(np.nanmean(aps), abs=1e-12)
        assert figures[f'vid/{speed}/AP50'] == mean
    plain = evaluate(samples, classes, classwise=True)
    assert all(figures[name] == value for name, value in plain.items())
    shares = [figures[f'vid/{speed}/share'] for speed in SPEEDS]
    assert sum(shares) == pytest.approx(1) and min(shares) > 0.05


@pytest.mark.parametrize('seed', range(3))
def test_motion_iou_equals_the_loop(seed):
    samples = random_tracks(seed, 40)
    for sample, ious in zip(
        samples, compute_motion_ious(results(samples)), strict=True
    ):
        expected = [loop_motion(samples, sample, item) for item in sample.instances]
        np.testing.assert_allclose(ious, expected, atol=1e-12)


def figures_of(samples, **options):
    return evaluate(samples, with_motion_split=True, **options)


def test_a_speed_that_holds_all_boxes_is_the_plain_figure():
    samples = random_tracks(3)
    for sample in samples:
        sample.set_metainfo(dict(instances=sample.instances))
        for item in sample.instances:
            item['bbox'] = (np.array(item['bbox']) * 0 + box_at(20)).tolist()
            item['instance_id'] = 5
            item['bbox_label'] = 0
        del sample.instances[1:]
    figures = figures_of(samples, with_small_box_tolerance=False)
    assert figures['vid/slow/share'] == 1
    assert figures['vid/slow/AP50'] == figures['vid/AP50']


def test_several_thresholds():
    figures = figures_of(random_tracks(1), classes=('a', 'b', 'c'), iou_thrs=[0.5, 0.7])
    assert figures['vid/mAP'] == (figures['vid/AP50'] + figures['vid/AP70']) / 2
    assert figures['vid/slow/AP50'] > figures['vid/slow/AP70'] > 0


def test_instances_ids_of_packed_samples():
    samples = random_tracks(2)
    expected = figures_of(samples, classes=('a', 'b', 'c'))
    dicts = []
    for sample in samples:
        content = sample.to_dict()
        items = content.pop('instances')
        content['gt_instances'] = dict(
            bboxes=np.array([i['bbox'] for i in items]).reshape(-1, 4),
            labels=np.array([i['bbox_label'] for i in items], dtype=int),
            instances_ids=np.array([i['instance_id'] for i in items], dtype=int),
        )
        dicts.append(content)
    metric = VIDMetric(with_motion_split=True)
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    metric.process(None, dicts)
    assert metric.evaluate(len(dicts)) == expected


def test_ranks_give_the_figures_of_one(on_two_ranks):
    samples = random_tracks(4) + random_tracks(5, video_id=1)
    parts = [samples[25:], samples[:25]]
    size = len(samples)
    found = on_two_ranks(lambda part: figures_of_abc(part, size), parts)
    assert found == [figures_of_abc(samples)] * 2


def figures_of_abc(samples, size=None):
    return figures_of(samples, classes=('a', 'b', 'c'), size=size)
