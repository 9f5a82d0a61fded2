import importlib.util
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

import dff  # noqa: F401
from dff.checks.seg_check import check_seg_data

TOOL = 'tools/dataset_converters/check_seg_data.py'
VIDEOS = {'a': range(1, 6), 'b': range(3, 9)}


@pytest.fixture(autouse=True)
def mmseg_scope():
    """Leave the scope as it was: the checker sets that of its config."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def root(make_seg_set):
    return make_seg_set(VIDEOS, labelled=lambda v, f: f != 4)


def make_config(root, *, split='train', kind='VideoSegDataset', **kwargs):
    inner = dict(type=kind, data_root=str(root))
    if kind == 'VideoSegDataset':
        inner['metainfo'] = dict(classes=('background', 'left'))
    inner.update(kwargs.pop('dataset', {}))
    pairs = dict(type='VideoPairDataset', dataset=inner, pipeline=[], **kwargs)
    loader = dict(dataset=dict(type='ConcatDataset', datasets=[pairs]))
    return Config({f'{split}_dataloader': loader, 'default_scope': 'mmseg'})


def check(root, *, split='train', interval=None, headers_only=False, **kwargs):
    cfg = make_config(root, split=split, **kwargs)
    (report,) = check_seg_data(
        cfg, split=split, interval=interval, headers_only=headers_only
    )
    return report


def test_a_good_set_is_counted(root):
    report = check(root, offset_range=(0, 3))
    assert not report.problems
    assert not report.notes
    assert report.counts == {
        'videos': 2,
        'frames': 11,
        'frames of the shortest video': 5,
        'frames of the longest video': 6,
        'labelled frames': 9,
        'of these, < 3 predecessors': 5,  # frames 1, 2, 3 of a, 3 and 5 of b
    }
    left = 12 * (1 + 2 + 3 + 5 + 3 + 5 + 6 + 7 + 8)
    assert report.pixels == dict(background=9 * 12 * 20 - left, left=left)
    assert '100.00%' not in str(report)
    assert f'{left / (9 * 240):.2%}' in str(report)


def unreadable_image(root, write_image):
    path = root / 'images' / 'a' / '000004.png'  # unlabelled
    path.write_bytes(path.read_bytes()[:60])
    return 'images that cannot be read', 'a/000004.png'


def no_image(root, write_image):
    (root / 'images' / 'b' / '000008.png').unlink()
    return 'labels without an image', 'b/000008.png'


def another_size(root, write_image):
    path = root / 'labels' / 'a' / '000002.png'
    write_image(path, np.tile(np.uint8([0, 1]), (20, 6)))
    return 'label maps of another size than their image', r'\(20, 12\) .* \(12, 20\)'


def many_channels(root, write_image):
    path = root / 'labels' / 'a' / '000002.png'
    write_image(path, np.zeros((12, 20, 3), np.uint8))
    return 'label maps that are no maps of numbers to 255', r'\(12, 20, 3\)'


def sixteen_bits(root, write_image):
    path = root / 'labels' / 'a' / '000002.png'
    write_image(path, np.full((12, 20), 26001, np.uint16))
    return 'label maps that are no maps of numbers to 255', '26001'


def unreadable_map(root, write_image):
    (root / 'labels' / 'a' / '000002.png').write_text('1 1 0')
    return 'label maps that cannot be read', 'a/000002.png'


def unknown_label(root, write_image):
    path = root / 'labels' / 'a' / '000002.png'
    write_image(path, np.tile(np.uint8([0, 9, 7, 255]), (12, 5)))
    return 'labels outside the 2 classes', r'a/000002.png: \[7, 9\]'


def all_void(root, write_image):
    path = root / 'labels' / 'a' / '000002.png'
    write_image(path, np.full((12, 20), 255, np.uint8))
    return 'label maps that are all void', 'a/000002.png'


def absent_class(root, write_image):
    for path in (root / 'labels').rglob('*.png'):
        write_image(path, np.zeros((12, 20), np.uint8))
    return 'classes that never occur', 'left'


def empty_folder(root, write_image):
    (root / 'images' / 'c').mkdir()
    return r"folders without \('.jpg'.*", 'images/c'


def nothing_labelled(root, write_image):
    (root / 'labels').rename(root / 'masks')
    return 'no frame is labelled', 'the map of .*a/000001.png would be .*labels/a/0000'


def another_frame_size(root, write_image):
    write_image(root / 'images' / 'a' / '000004.png', np.zeros((10, 20, 3), np.uint8))
    return 'frames of another size than their video', r'\(10, 20\) .* \(12, 20\)'


def images_not_there(root, write_image):
    (root / 'images').rename(root / 'frames')
    return 'data set that cannot be read', 'images'


@pytest.mark.parametrize(
    'spoil',
    [
        unreadable_image,
        no_image,
        another_size,
        many_channels,
        sixteen_bits,
        unreadable_map,
        unknown_label,
        all_void,
        absent_class,
        empty_folder,
        nothing_labelled,
        another_frame_size,
        images_not_there,
    ],
    ids=lambda f: f.__name__,
)
def test_what_is_wrong_is_found(spoil, root, write_image):
    kind, text = spoil(root, write_image)
    report = check(root)
    found = [v for k, v in report.problems.items() if re.match(kind, k)]
    assert len(found) == 1
    assert re.search(text, found[0][0])


def test_frames_of_phones_are_turned_as_training_turns_them(make_seg_set):
    root = make_seg_set({'a': range(1, 4)}, suffix='.jpg')
    for path in (root / 'images' / 'a').iterdir():
        lying = Image.new('RGB', (12, 20))
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees
        lying.save(path, exif=exif)
        assert cv2.imread(str(path)).shape == (12, 20, 3)
    assert not check(root).problems


def test_headers_are_believed_on_request(root, write_image):
    unreadable_image(root, write_image)
    assert not check(root, headers_only=True).problems


def test_a_class_may_be_absent_in_a_test(root, write_image):
    absent_class(root, write_image)
    report = check(root, split='test', test_mode=True)
    assert not report.problems
    assert report.notes == ["these classes never occur: ['left']"]


def test_gaps_are_said(make_seg_set):
    root = make_seg_set({'a': range(0, 50, 10), 'b': [0, 1, 2]})
    report = check(root)
    assert report.counts['videos'] == 6
    assert report.notes[0].startswith('1 of 2 videos have gaps in their numbers and a')
    assert len(report.notes) == 1
    only = check(root, dataset=dict(videos='a'))
    assert 'set file_pattern=dict(frame_step=10)' in only.notes[1]
    only = check(root, file_pattern=dict(frame_step=10), dataset=dict(videos='a'))
    assert only.counts['videos'] == 1
    assert not only.notes


@pytest.mark.parametrize(
    ('options', 'reach', 'lacking'),
    [
        (dict(interval=2), 1, 1 + 1),
        (dict(), 9, 4 + 5),
        (dict(pairs=False), 0, 0),
        (dict(split='val', test_mode=True, test_offsets=[0, 4], interval=2), 4, 3 + 3),
    ],
)
def test_predecessors_are_counted_for_what_will_run(root, options, reach, lacking):
    assert check(root, **options).counts[f'of these, < {reach} predecessors'] == lacking


def test_cityscapes_snippets(make_cityscapes):
    prefix = dict(img_path='leftImg8bit_sequence/val', seg_map_path='gtFine/val')
    options = dict(
        kind='CityscapesSequenceDataset',
        dataset=dict(data_prefix=prefix),
        interval=5,
    )
    root = make_cityscapes()
    report = check(root, **options)
    assert not report.problems
    assert report.counts['videos'] == report.counts['labelled frames'] == 6
    assert report.counts['of these, < 4 predecessors'] == 0
    for frame in (0, 7):
        name = f'aachen_000001_{frame:06d}_leftImg8bit.png'
        next(root.rglob(name)).unlink()
    next(root.rglob('frankfurt_000001*TrainIds.png')).unlink()
    report = check(root, **options)
    wrong = report.problems['snippets that are not whole']
    assert [w.split(', must')[0] for w in wrong] == [
        'aachen_000001_000001, from frame 1 on: 6 frames without a gap',
        'aachen_000001_000008, from frame 8 on: 22 frames without a gap',
    ]
    wrong = report.problems['snippets labelled elsewhere']
    assert [w.split(':')[1].split(',')[0] for w in wrong] == [
        ' the labelled frames are []',
        ' the labelled frames are [12]',
        ' the labelled frames are []',
    ]


def test_long_lists_are_cut_in_print_only(make_seg_set, write_image):
    root = make_seg_set({'a': range(25)})
    for path in (root / 'labels').rglob('*.png'):
        write_image(path, np.full((12, 20), 255, np.uint8))
    report = check(root)
    assert len(report.problems['label maps that are all void']) == 25
    assert str(report).count('labels/a/') == 10
    assert '... and 15 more' in str(report)


def test_a_config_without_pairs_is_refused():
    with pytest.raises(ValueError, match='val_dataloader must hold a VideoPairDataset'):
        check_seg_data(Config(dict(default_scope='mmseg')), split='val')


def test_the_tool_exits_with_one_where_something_is_wrong(root, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location(
        'check_tool', Path(__file__).resolve().parents[2] / TOOL
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    config = root / 'config.py'
    make_config(root).dump(config)
    monkeypatch.setattr(sys, 'argv', [TOOL, str(config)])
    tool.main()
    assert 'no problems found' in capsys.readouterr().out
    cv2.imwrite(
        str(root / 'labels' / 'a' / '000002.png'), np.full((12, 20), 3, np.uint8)
    )
    with pytest.raises(SystemExit) as exit_:
        tool.main()
    assert exit_.value.code == 1
    shown = capsys.readouterr().out
    assert 'WRONG: labels outside the 2 classes (1)' in shown
    assert 'nothing wrong' not in shown
