import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope

import dff  # noqa: F401
from dff.converters.data import write_synthetic_set
from dff.datasets.synthetic_video import SYNTHETIC_CLASSES, SyntheticVideo

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
PACK = dict(type='PackSegInputs')
CLASSES = dict(classes=('background', 'left'))


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def build(root, *, dataset=None, **kwargs):
    inner = dict(type='VideoSegDataset', data_root=str(root), metainfo=CLASSES)
    inner.update(dataset or {})
    cfg = dict(type='VideoPairDataset', dataset=inner, pipeline=[*LOAD, PACK])
    return DATASETS.build({**cfg, **kwargs})


def place_of(image):
    return int(image[1, 0, 0]) // 3, int(image[0, 0, 0])


def labels_of(item):
    return item['data_samples'].gt_sem_seg.data[0].numpy()


def test_labels_of_some_frames(make_seg_set):
    root = make_seg_set(
        {'a': range(5), 'b': range(3, 9)}, labelled=lambda v, f: f in (4, 8)
    )
    data = build(root, offset_range=(2, 2))
    expected = [(0, 4, 2), (1, 4, 3), (1, 8, 6)]  # the second one clamped
    for i, (video, cur, key) in enumerate(expected):
        item = data[i]
        assert place_of(item['inputs']['cur']) == (video, cur)
        assert place_of(item['inputs']['key']) == (video, key)
        assert np.array_equal(labels_of(item), np.tile(np.arange(20) < cur, (12, 1)))
        assert item['data_samples'].video_name == 'ab'[video]
    stream = build(root, test_mode=True)
    assert stream.get_video_spans() == [(0, 5), (5, 11)]
    has_labels = ['gt_sem_seg' in stream[i]['data_samples'] for i in range(11)]
    assert np.flatnonzero(has_labels).tolist() == [4, 6, 10]


def test_any_suffix_of_images(make_seg_set):
    make_seg_set({'a': range(2)}, suffix='.bmp')
    root = make_seg_set({'b': range(3)}, suffix='.JPG')
    (root / 'images' / 'b' / 'notes.txt').write_text('not a frame')
    assert len(build(root)) == 5
    assert len(build(root, dataset=dict(img_suffix='.bmp'))) == 2


def test_some_videos_of_a_folder(make_seg_set):
    root = make_seg_set({'train_0': range(2), 'train_1': range(2), 'test_0': range(3)})
    assert len(build(root, dataset=dict(videos='train_*'))) == 4
    assert len(build(root, dataset=dict(videos=['train_1', 'test_0']))) == 5
    with pytest.raises(ValueError, match=r"has no images .* of \['val_\*'\]"):
        build(root, dataset=dict(videos=['train_0', 'val_*']))


def test_what_the_data_set_must_be_told(make_seg_set):
    root = make_seg_set({'a': range(2)})
    with pytest.raises(ValueError, match='metainfo must name the classes'):
        build(root, dataset=dict(metainfo=dict()))
    with pytest.raises(ValueError, match='ann_file is not used'):
        build(root, dataset=dict(ann_file='train.txt'))


def test_folders_are_named_apart(make_seg_set):
    root = make_seg_set({'a': range(3)})
    (root / 'images').rename(root / 'frames')
    data = build(root, dataset=dict(data_prefix=dict(img_path='frames')))
    assert len(data) == 3
    with pytest.raises(FileNotFoundError, match='images'):
        build(root)


def test_no_pair_reaches_over_a_gap(make_seg_set):
    data = build(make_seg_set({'a': [0, 1, 2, 5, 6]}), offset_range=(4, 4))
    assert data.index.video_ids == ['a_000000', 'a_000005']
    keys = [place_of(data[i]['inputs']['key'])[1] for i in range(5)]
    assert keys == [0, 0, 0, 5, 5]


def test_videos_of_one_name_in_two_folders(make_seg_set):
    root = make_seg_set({'day/a': range(2), 'night/a': range(2, 4)})
    with pytest.raises(ValueError, match="two videos 'a', in .*day.*night"):
        build(root)
    pattern = r'(?P<video>[^/]+/[^/]+)/(?P<frame>\d+)'
    assert build(root, file_pattern=pattern).index.video_ids == ['day/a', 'night/a']


def test_missing_neighbours(make_seg_set):
    root = make_seg_set({'a': range(5)})
    strict = build(root, offset_range=(2, 2))
    lenient = build(root, offset_range=(2, 2), missing='nearest')
    (root / 'images' / 'a' / '000002.png').unlink()
    message = "frame 2 of video 'a', key frame of .*04"
    with pytest.raises(FileNotFoundError, match=message):
        strict[4]
    item = lenient[4]
    assert place_of(item['inputs']['key']) == (0, 3)
    assert item['data_samples'].offset == 1


def test_a_first_labelled_frame_without_earlier_frames(make_seg_set):
    root = make_seg_set({'a': range(4)}, labelled=lambda v, f: f in (0, 3))
    item = build(root, offset_range=(2, 2))[0]
    assert item['data_samples'].is_same
    assert item['data_samples'].offset == 0
    options = dict(test_mode=True, test_offsets=[0, 1, 2])
    data = build(root, **options)
    assert (len(data), data.num_left_out) == (3, 1)
    data = build(root, clamp_test_offsets=True, **options)
    assert (len(data), data.num_left_out) == (6, 0)
    assert [data[i]['data_samples'].offset for i in range(3)] == [0, 0, 0]


def test_labels_outside_the_class_list_are_named(make_seg_set, write_image):
    root = make_seg_set({'a': range(2)})
    labels = np.zeros((12, 20), np.uint8)
    labels[3, 4], labels[5, 6] = 7, 255
    write_image(root / 'labels' / 'a' / '000001.png', labels)
    for options in (dict(), dict(pairs=False), dict(test_mode=True)):
        with pytest.raises(ValueError, match=r'000001.png contains the labels \[7\]'):
            build(root, **options)[1]


def test_a_map_of_another_size_is_named(make_seg_set, write_image):
    root = make_seg_set({'a': range(2)})
    write_image(root / 'labels' / 'a' / '000001.png', np.zeros((20, 12), np.uint8))
    for options in (dict(), dict(test_mode=True)):
        with pytest.raises(ValueError, match=r'000001.png must have the size \(12, 20'):
            build(root, **options)[1]
    write_image(root / 'labels' / 'a' / '000001.png', np.zeros((12, 20, 3), np.uint8))
    with pytest.raises(ValueError, match='one channel, got .*12, 20, 3'):
        build(root)[1]


def test_a_map_of_void_is_delivered(make_seg_set, write_image):
    root = make_seg_set({'a': range(2)})
    write_image(root / 'labels' / 'a' / '000001.png', np.full((12, 20), 255, np.uint8))
    assert (labels_of(build(root)[1]) == 255).all()


def test_a_stock_data_set_with_a_pattern(tmp_path, write_image):
    """ADE20K keeps 0 for void, and knows nothing of videos."""
    for clip, frame in ((7, 0), (7, 3), (7, 6), (8, 6)):
        image = np.full((12, 20, 3), 10 * clip + frame, np.uint8)
        name = f'clip{clip}_f{frame:04d}'
        write_image(tmp_path / 'img' / f'{name}.jpg', image)
        labels = np.tile(np.arange(20, dtype=np.uint8), (12, 1))
        write_image(tmp_path / 'ann' / f'{name}.png', labels)
    cfg = dict(
        type='VideoPairDataset',
        dataset=dict(
            type='ADE20KDataset',
            data_root=str(tmp_path),
            data_prefix=dict(img_path='img', seg_map_path='ann'),
        ),
        pipeline=[*LOAD, PACK],
        file_pattern=dict(pattern=r'(?P<video>clip\d+)_f(?P<frame>\d+)', frame_step=3),
        offset_range=(1, 1),
    )
    data = DATASETS.build(cfg)
    assert data.index.video_ids == ['clip7', 'clip8']
    means = [float(data[i]['inputs']['key'].float().mean()) for i in range(4)]
    assert means == pytest.approx([70, 70, 73, 86], abs=1)
    assert labels_of(data[1])[0].tolist() == [255, *range(19)]
    del cfg['file_pattern']
    with pytest.raises(ValueError, match='set file_pattern'):
        DATASETS.build(cfg)


def test_synthetic_sets_are_read_for_segmentation(tmp_path):
    options = dict(num_videos=2, num_frames=3, size=(64, 48))
    write_synthetic_set(tmp_path, name='train', seed=0, **options)
    write_synthetic_set(tmp_path, name='test', seed=1, **options)
    data = build(
        tmp_path,
        dataset=dict(
            videos='train_*',
            data_prefix=dict(img_path='frames'),
            metainfo=dict(classes=('background', *SYNTHETIC_CLASSES)),
        ),
        offset_range=(1, 1),
    )
    assert len(data) == 6
    for video in range(2):
        rendered = list(SyntheticVideo(3, size=(64, 48), seed=(0, video)))
        for i, frame in enumerate(rendered):
            item = data[3 * video + i]
            assert np.array_equal(labels_of(item), frame.label_map)
            key = item['inputs']['key'].numpy().transpose(1, 2, 0)
            expected = rendered[max(i - 1, 0)].image
            assert cv2.absdiff(key, expected).mean() < 6  # JPEG
