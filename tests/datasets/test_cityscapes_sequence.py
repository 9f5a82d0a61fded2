import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope

import dff  # noqa: F401
from dff.datasets.file_pattern import FilePattern

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
PACK = dict(type='PackSegInputs')
# Names in the order of Cityscapes' ids 0 ... 33, with the 19 that count in capitals.
NAMES_BY_ID = (
    'unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground,'
    ' ROAD, SIDEWALK, parking, rail track, BUILDING, WALL, FENCE, guard rail, bridge,'
    ' tunnel, POLE, polegroup, TRAFFIC LIGHT, TRAFFIC SIGN, VEGETATION, TERRAIN, SKY,'
    ' PERSON, RIDER, CAR, TRUCK, BUS, caravan, trailer, TRAIN, MOTORCYCLE, BICYCLE'
).split(', ')


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def build(root, *, dataset=None, **kwargs):
    inner = dict(
        type='CityscapesSequenceDataset',
        data_root=str(root),
        data_prefix=dict(
            img_path='leftImg8bit_sequence/val', seg_map_path='gtFine/val'
        ),
        **(dataset or {}),
    )
    cfg = dict(type='VideoPairDataset', dataset=inner, pipeline=[*LOAD, PACK])
    return DATASETS.build({**cfg, **kwargs})


def place_of(image):
    """Read snippet and position off the pixels."""
    return int(image[1, 0, 0]) // 3, int(image[0, 0, 0])


def test_snippets_are_told_apart_however_they_are_numbered(make_cityscapes):
    index = build(make_cityscapes()).index
    assert index.spans == [(at, at + 30) for at in range(0, 180, 30)]
    assert np.flatnonzero(index.is_labelled).tolist() == list(range(19, 180, 30))
    assert index.video_ids == [
        'aachen_000000',
        'aachen_000001',
        'frankfurt_000000_000275',
        'frankfurt_000000_000305',
        'frankfurt_000000_000557',
        'frankfurt_000001',
    ]
    assert index.frame_ids[60:63].tolist() == [275, 276, 277]


def test_pairs_stay_in_their_snippet_and_use_every_frame(make_cityscapes):
    data = build(make_cityscapes())
    assert len(data) == 6
    for offset in range(26):
        data.offset_range = (offset, offset)
        for snippet in range(6):
            item = data[snippet]
            key = max(19 - offset, 0)  # unlabelled but for offset 0
            assert place_of(item['inputs']['cur']) == (snippet, 19)
            assert place_of(item['inputs']['key']) == (snippet, key)
            assert item['data_samples'].offset == 19 - key


def test_the_papers_pairs(make_cityscapes):
    data = build(make_cityscapes(), test_mode=True, test_offsets=list(range(5)))
    assert len(data) == 6 * 5
    assert data.num_left_out == 0
    for i in range(len(data)):
        item = data[i]
        offset = item['data_samples'].offset
        assert place_of(item['inputs']['cur']) == (i // 5, 19)
        assert place_of(item['inputs']['key']) == (i // 5, 19 - offset)
    assert sorted(data[i]['data_samples'].offset for i in range(5)) == list(range(5))


def test_the_stream_runs_all_frames_and_scores_the_twentieth(make_cityscapes):
    data = build(make_cityscapes([('aachen', 0, 0), ('bonn', 7, 40)]), test_mode=True)
    assert data.get_video_spans() == [(0, 30), (30, 60)]
    for i in range(60):
        item = data[i]
        assert place_of(item['inputs']) == (i // 30, i % 30)
        assert item['data_samples'].is_labelled is (i % 30 == 19)
        assert ('gt_sem_seg' in item['data_samples']) is (i % 30 == 19)


def test_train_ids_are_read_as_they_are(make_cityscapes):
    labels = build(make_cityscapes())[0]['data_samples'].gt_sem_seg.data[0]
    assert labels[3].tolist() == [*range(19), 255]


@pytest.mark.parametrize('classes', [None, ['car', 'road']])
def test_raw_ids_become_the_classes_of_the_same_name(
    classes, make_cityscapes, write_image
):
    root = make_cityscapes([('aachen', 0, 0)])
    raw = np.array([*range(34), 255, 0], np.uint8).reshape(6, 6)
    for path in root.rglob('*_labelTrainIds.png'):
        name = path.name.replace('labelTrainIds', 'labelIds')
        write_image(path.with_name(name), cv2.resize(raw, (20, 12), interpolation=0))
    dataset = dict(seg_map_suffix='_gtFine_labelIds.png')
    if classes:
        dataset['metainfo'] = dict(classes=classes)
    data = build(root, dataset=dataset)
    classes = list(data.metainfo['classes'])
    by_name = [
        classes.index(n.lower()) if n.isupper() and n.lower() in classes else 255
        for n in NAMES_BY_ID
    ]
    expected = np.array([*by_name, 255, 255], np.uint8).reshape(6, 6)
    expected = cv2.resize(expected, (20, 12), interpolation=0)
    labels = data[0]['data_samples'].gt_sem_seg.data[0].numpy()
    assert np.array_equal(labels, expected)
    assert len(data.metainfo['palette']) == len(classes)
    if len(classes) == 2:  # colours of car and road
        assert data.metainfo['palette'] == [[0, 0, 142], [128, 64, 128]]


def test_raw_ids_taken_for_train_ids_are_refused(make_cityscapes, write_image):
    root = make_cityscapes([('aachen', 0, 0)])
    (path,) = root.rglob('*_labelTrainIds.png')
    write_image(path, np.full((12, 20), 26, np.uint8))
    with pytest.raises(ValueError, match=r'labels \[26\], expected labels below 19'):
        build(root)[0]


def test_a_snippet_that_begins_late(make_cityscapes):
    root = make_cityscapes([('aachen', 0, 0), ('aachen', 1, 0)])
    for position in range(17):  # leaves two predecessors of the labelled frame
        next(root.rglob(f'aachen_000000_{position:06d}_leftImg8bit.png')).unlink()
    train = build(root, offset_range=(4, 4))
    assert place_of(train[0]['inputs']['key']) == (0, 17)
    test = dict(test_mode=True, test_offsets=list(range(5)))
    data = build(root, **test)
    assert (len(data), data.num_left_out) == (5, 1)
    data = build(root, clamp_test_offsets=True, **test)
    assert (len(data), data.num_left_out) == (10, 0)
    samples = [data[i]['data_samples'] for i in range(5)]
    assert sorted(s.offset for s in samples) == [0, 1, 2, 2, 2]
    with pytest.raises(ValueError, match='2 labelled, 2 of these excluded'):
        build(root, test_mode=True, test_offsets=[0, 20])


def test_a_dict_says_what_differs_from_the_pattern_of_the_data_set(make_cityscapes):
    root = make_cityscapes([('aachen', 0, 0)])
    data = build(root, file_pattern=dict(snippet_length=10))
    assert data.index.spans == [(0, 10), (10, 20), (20, 30)]
    own = FilePattern.for_dataset(data.dataset)
    assert (own.snippet_length, own.frame_step) == (30, 1)
    other = FilePattern.for_dataset(data.dataset, r'(?P<video>.)/(?P<frame>\d)')
    assert other.frame_step == 1
    assert FilePattern.for_dataset(object()) is None
