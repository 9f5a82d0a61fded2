"""VIDMetric against the authors' figures and a loop from the definition."""

import json
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS
from mmengine.structures import InstanceData
from vid_samples import evaluate, make_sample

from dff.evaluation import VIDMetric

ROOT = Path(__file__).resolve().parents[2]
PARITY = Path(os.environ.get('DFF_DATA', ROOT.parent / 'shared' / 'data')).parent
ORACLE = PARITY / 'parity' / 'vid_eval'
ORACLE_CLASSES = {  # WordNet id: name and its place among the 30 classes, from 0
    'n02691156': ('airplane', 0),
    'n02131653': ('bear', 2),
    'n02958343': ('car', 6),
}


def random_video(seed, num_frames, *, video_id=0, step=1):
    """Make predictions that hit, miss and double boxes; every `step`th is labelled."""
    rng = np.random.default_rng(seed)
    samples = []
    for frame_id in range(num_frames):
        instances, detections = [], []
        for _ in range(rng.integers(0, 5)):
            corner, size = rng.uniform(0, 60, 2), rng.uniform(3, 50, 2)
            box = np.concatenate([corner, corner + size])
            instances.append(dict(bbox=box.tolist(), bbox_label=int(rng.integers(2))))
            for _ in range(rng.integers(0, 3)):
                noisy = box + rng.normal(0, 4, 4)
                detections.append([rng.integers(2), rng.random(), *noisy])
        samples.append(
            make_sample(
                detections,
                instances,
                video_id=video_id,
                frame_id=frame_id,
                is_labelled=frame_id % step == 0,
            )
        )
    return samples


def loop_vid_ap(samples, label, iou_thr):
    """Compute the AP of one class from the definition, one pair at a time."""
    flags, num_gt = [], 0
    for sample in samples:
        free = [i['bbox'] for i in sample.instances if i['bbox_label'] == label]
        num_gt += len(free)
        found = sample.pred_instances
        order = sorted(range(len(found)), key=lambda i: -float(found.scores[i]))
        for i in [i for i in order if int(found.labels[i]) == label]:
            x1, y1, x2, y2 = (float(v) for v in found.bboxes[i])
            best, best_iou = None, -1.0
            for gt in free:
                w, h = gt[2] - gt[0] + 1, gt[3] - gt[1] + 1
                across = min(x2, gt[2]) - max(x1, gt[0]) + 1
                down = min(y2, gt[3]) - max(y1, gt[1]) + 1
                if across <= 0 or down <= 0:
                    continue
                inter = across * down
                iou = inter / ((x2 - x1 + 1) * (y2 - y1 + 1) + w * h - inter)
                needed = min(iou_thr, w * h / ((w + 10) * (h + 10)))
                if iou >= needed and iou > best_iou:
                    best, best_iou = gt, iou
            if best is not None:
                free.remove(best)
            flags.append((float(found.scores[i]), best is not None))
    flags.sort(key=lambda flag: -flag[0])
    hits, points = 0, []
    for rank, (_, is_right) in enumerate(flags, start=1):
        hits += is_right
        points.append((hits / num_gt, hits / rank))
    area, last = 0.0, 0.0
    for i, (recall, _) in enumerate(points):
        area += (recall - last) * max(p for _, p in points[i:])
        last = recall
    return area


def test_registered_in_the_root_registry():
    assert METRICS.get('VIDMetric') is VIDMetric


@pytest.mark.skipif(not ORACLE.is_dir(), reason=f'no oracle in {ORACLE}')
def test_reproduces_the_authors_figures():
    detections = np.loadtxt(ORACLE / 'detections.txt')
    detections[:, 1] -= 1  # classes are 1-based there
    samples = []
    for line in (ORACLE / 'images.txt').read_text().splitlines():
        name, image_id = line.split()
        root = ElementTree.parse(ORACLE / 'Annotations' / 'VID' / f'{name}.xml')
        instances = [
            dict(
                bbox=[
                    float(node.find(f'bndbox/{side}').text)
                    for side in ('xmin', 'ymin', 'xmax', 'ymax')
                ],
                bbox_label=ORACLE_CLASSES[node.find('name').text][1],
            )
            for node in root.iter('object')
        ]
        video, frame = name.rsplit('/', 1)
        rows = detections[detections[:, 0] == int(image_id), 1:]
        sample = make_sample(rows, instances, video_id=video, frame_id=int(frame))
        samples.append(sample)
    expected = json.loads((ORACLE / 'ap.json').read_text())
    names = {place: name for name, place in ORACLE_CLASSES.values()}
    classes = [names.get(place, f'class{place}') for place in range(30)]
    figures = evaluate(samples, classes, classwise=True)
    for name, ap in expected['ap'].items():
        assert figures[f'vid/AP50_{name}'] == pytest.approx(ap, abs=1e-6)
    assert figures['vid/AP50'] == pytest.approx(expected['mean'], abs=1e-6)


@pytest.mark.parametrize('seed', range(4))
def test_equals_the_loop(seed):
    samples = random_video(seed, 12) + random_video(seed + 9, 8, video_id='other')
    figures = evaluate(samples, iou_thrs=[0.5, 0.7], classwise=True)
    for thr in (0.5, 0.7):
        aps = [loop_vid_ap(samples, label, thr) for label in (0, 1)]
        name = f'vid/AP{100 * thr:g}'
        assert figures[f'{name}_a'] == pytest.approx(aps[0], abs=1e-12)
        assert figures[f'{name}_b'] == pytest.approx(aps[1], abs=1e-12)
        assert figures[name] == pytest.approx(np.mean(aps), abs=1e-12)
    mean = (figures['vid/AP50'] + figures['vid/AP70']) / 2
    assert figures['vid/mAP'] == pytest.approx(mean, abs=1e-12)


def test_sparse_labels_count_labelled_frames_alone():
    samples = random_video(5, 60, step=10)
    alone = [sample for sample in samples if sample.is_labelled]
    assert len(alone) == 6
    figures = evaluate(samples)
    assert figures == evaluate(alone)
    assert figures['vid/AP50'] != evaluate(random_video(5, 60))['vid/AP50']


def test_labelled_and_empty_is_not_unlabelled():
    instances = [dict(bbox=[0, 0, 50, 50], bbox_label=0)]
    right = make_sample([[0, 0.5, 0, 0, 50, 50]], instances)
    wrong = [[0, 0.9, 0, 0, 50, 50]]
    empty = make_sample(wrong, [], frame_id=1)
    skipped = make_sample(wrong, [], frame_id=1, is_labelled=False)
    assert evaluate([right, empty])['vid/AP50'] == 0.5
    assert evaluate([right, skipped])['vid/AP50'] == 1.0


def test_mean_is_over_classes_with_ground_truth():
    instances = [dict(bbox=[0, 0, 50, 50], bbox_label=0)]
    rows = [[0, 0.5, 0, 0, 50, 50], [1, 0.9, 0, 0, 50, 50]]
    figures = evaluate([make_sample(rows, instances)], classwise=True)
    assert figures['vid/AP50'] == 1.0 and np.isnan(figures['vid/AP50_b'])


def test_classes_pick_a_subset():
    samples = random_video(3, 20)
    expected = loop_vid_ap(samples, 1, 0.5)
    assert evaluate(samples, classes=('a', 'b'))['vid/AP50'] != expected
    metric = VIDMetric(classes=['b'])
    metric.dataset_meta = dict(classes=('a', 'b'))
    metric.process(None, [sample.to_dict() for sample in samples])
    assert metric.evaluate(20)['vid/AP50'] == pytest.approx(expected, abs=1e-12)
    metric = VIDMetric(classes=['b', 'zebra'])
    metric.dataset_meta = dict(classes=('a', 'b'))
    metric.process(None, [samples[0].to_dict()])
    with pytest.raises(ValueError, match=r"unknown \['zebra'\]"):
        metric.evaluate(1)


def test_tolerance_can_be_switched_off():
    instances = [dict(bbox=[0, 0, 9, 9], bbox_label=0)]
    sample = make_sample([[0, 0.5, 5, 0, 14, 9]], instances)  # IoU 1/3
    assert evaluate([sample])['vid/AP50'] == 1.0
    assert evaluate([sample], with_small_box_tolerance=False)['vid/AP50'] == 0.0


def test_ground_truth_from_gt_instances():
    samples = random_video(6, 15)
    expected = evaluate(samples)
    for sample in samples:
        instances = sample.instances
        boxes = torch.tensor([i['bbox'] for i in instances], dtype=torch.float64)
        labels = torch.tensor([i['bbox_label'] for i in instances], dtype=torch.long)
        sample.gt_instances = InstanceData(bboxes=boxes.reshape(-1, 4), labels=labels)
        sample.set_metainfo(dict(instances=None))
    assert evaluate(samples) == expected
    box = torch.tensor([[70.0, 70.0, 99.0, 99.0]])
    label = torch.zeros(1, dtype=torch.long)
    extra = make_sample([[0, 0.99, 70, 70, 99, 99]], None, frame_id=15)
    extra.gt_instances = InstanceData(bboxes=box[:0], labels=label[:0])
    extra.ignored_instances = InstanceData(bboxes=box, labels=label)
    assert evaluate([*samples, extra]) == expected


def test_missing_ground_truth_is_named():
    sample = make_sample([], None)
    sample.gt_instances = InstanceData()  # what packing without annotations leaves
    with pytest.raises(ValueError, match='labelled frame needs its boxes'):
        evaluate([sample])


def test_only_unlabelled_frames_is_an_error():
    with pytest.raises(ValueError, match='got none'):
        evaluate([make_sample([], [], is_labelled=False)])


def test_sampler_padding_is_counted_once():
    samples = random_video(8, 10)
    padded = [*samples, samples[0], samples[1]]
    assert evaluate(padded, size=10) == evaluate(samples)


@pytest.mark.parametrize(
    ('metainfo', 'message'),
    [
        (dict(offset=3), 'predicted at offsets None and 3; use PerOffsetMetric'),
        (dict(img_path='elsewhere/0.jpg'), 'must come once, got it from'),
    ],
)
def test_one_frame_in_two_ways_is_an_error(metainfo, message):
    other = make_sample([], [])
    other.set_metainfo(metainfo)
    with pytest.raises(ValueError, match=message):
        evaluate([make_sample([], []), other])


def test_ids_are_required():
    sample = make_sample([], [])
    del sample.frame_id
    with pytest.raises(ValueError, match='meta_keys'):
        evaluate([sample])


@pytest.mark.parametrize('iou_thrs', [(), (0.0,), (1.5,)])
def test_bad_thresholds(iou_thrs):
    with pytest.raises(ValueError, match='iou_thrs'):
        VIDMetric(iou_thrs=iou_thrs)


def test_ranks_of_unequal_length_give_the_figures_of_one(on_two_ranks):
    samples = random_video(1, 9) + random_video(2, 4, video_id=1, step=2)
    for sample in samples:  # ties across ranks
        sample.pred_instances.scores = (sample.pred_instances.scores * 4).round() / 4
    parts = [samples[9:], samples[:9] + samples[12:]]
    found = on_two_ranks(lambda part: evaluate(part, size=13), parts)
    assert found == [evaluate(samples)] * 2
