import json

import cv2
import numpy as np
import pytest
from PIL import Image

from dff.converters.data import convert_vid
from dff.datasets.vid_annotations import VID_CLASSES, VID_WNIDS

CAR, DOG = 'n02958343', 'n02084071'


def write_frame(root, name, objects, *, image=True):
    """Write image and XML; `objects` None leaves out the XML."""
    if image:
        path = root / 'Data/VID' / f'{name}.JPEG'
        path.parent.mkdir(parents=True, exist_ok=True)
        _, data = cv2.imencode('.jpg', np.zeros((40, 60, 3), np.uint8))
        path.write_bytes(data.tobytes())
    if objects is None:
        return
    path = root / 'Annotations/VID' / f'{name}.xml'
    path.parent.mkdir(parents=True, exist_ok=True)
    items = ''.join(
        f'<object><trackid>{track}</trackid><name>{wnid}</name><bndbox>'
        f'<xmax>{x2}</xmax><xmin>{x1}</xmin><ymax>{y2}</ymax><ymin>{y1}</ymin>'
        '</bndbox></object>'
        for wnid, track, (x1, y1, x2, y2) in objects
    )
    size = '<size><width>60</width><height>40</height></size>'
    path.write_text(f'<annotation>{size}{items}</annotation>')


@pytest.fixture
def root(tmp_path):
    write_frame(tmp_path, 'train/part_0/snip_a/000000', [(CAR, 4, (1, 2, 30, 20))])
    write_frame(tmp_path, 'train/part_0/snip_a/000001', [])
    write_frame(tmp_path, 'train/part_0/snip_a/000002', None)
    write_frame(tmp_path, 'train/part_0/snip_b/000000', [(DOG, 0, (5, 5, 25, 35))])
    return tmp_path


def convert(root, **kwargs):
    writer = convert_vid(root, root / 'out.json', split='train', **kwargs)
    assert ('other classes' in writer.report()) is (writer.counts['other'] > 0)
    return json.loads((root / 'out.json').read_text())


def test_videos_frames_and_labels(root):
    content = convert(root)
    assert [v['name'] for v in content['videos']] == [
        'train/part_0/snip_a',
        'train/part_0/snip_b',
    ]
    frames = [
        (i['video_id'], i['frame_id'], i['is_labelled']) for i in content['images']
    ]
    assert frames == [(1, 0, True), (1, 1, True), (1, 2, False), (2, 0, True)]
    assert all(
        (root / 'Data/VID' / i['file_name']).is_file() for i in content['images']
    )
    names = {c['id']: c['name'] for c in content['categories']}
    boxes = [
        (names[a['category_id']], a['bbox'], a['instance_id'])
        for a in content['annotations']
    ]
    assert boxes == [('car', [1, 2, 29, 18], 4), ('dog', [5, 5, 20, 30], 0)]


def test_the_thirty_classes():
    assert len(set(VID_CLASSES)) == len(set(VID_WNIDS)) == 30
    order = dict(airplane=1, car=7, dog=9, giant_panda=13, whale=29, zebra=30)
    assert {name: VID_CLASSES.index(name) + 1 for name in order} == order


@pytest.mark.parametrize('line', ['{} 1 0 3', '{}/000000 12'])
def test_only_listed_frames_are_labelled(root, line):
    (root / 'list.txt').write_text(line.format('train/part_0/snip_a') + '\n')
    content = convert(root, labelled_frames=root / 'list.txt')
    assert [i['is_labelled'] for i in content['images']] == [True, False, False, False]
    assert len(content['annotations']) == 1


def test_bad_input_is_named(root):
    folder = root / 'Annotations/VID/train/part_0/snip_b'
    write_frame(root, 'train/part_0/snip_b/000001', [], image=False)
    with pytest.raises(FileNotFoundError, match='missing image .*snip_b/000001.JPEG'):
        convert(root)
    assert len(convert(root, check_images=False)['images']) == 5
    (folder / '000001.xml').write_text('<annotation><si')
    with pytest.raises(ValueError, match='cannot read annotation .*000001.xml'):
        convert(root, check_images=False)
    write_frame(root, 'train/part_0/snip_b/000001', [('n1', 0, (1, 1, 9, 9))])
    with pytest.raises(ValueError, match="000001.xml: unknown class 'n1'"):
        convert(root)
    assert len(convert(root, ignore_other_classes=True)['annotations']) == 2
    with pytest.raises(FileNotFoundError, match='no val frames'):
        convert_vid(root, root / 'out.json', split='val')


def snippet(root, name, length):
    for frame in range(length):
        write_frame(root, f'{name}/{frame:06d}', [(CAR, 0, (1, 2, 30, 20))])


def test_frames_spread_over_each_video(tmp_path):
    snippet(tmp_path, 'train/part_0/long', 48)
    snippet(tmp_path, 'train/part_0/short', 3)
    images = convert(tmp_path, frames_per_video=15)['images']
    labelled = [
        (i['file_name'].split('/')[2], i['frame_id'])
        for i in images
        if i['is_labelled']
    ]
    # what the release lists for 48 frames
    frames = [1, 4, 8, 11, 14, 17, 20, 24, 27, 30, 33, 36, 40, 43, 46]
    assert labelled == [('long', f) for f in frames] + [('short', f) for f in range(3)]
    assert len(images) == 51  # the others stay, for key frames
    (tmp_path / 'list.txt').write_text('train/part_0/short 1 1 3\n')
    with pytest.raises(ValueError, match='labelled_frames or frames_per_video'):
        convert(tmp_path, frames_per_video=15, labelled_frames=tmp_path / 'list.txt')


def test_a_list_of_whole_videos_labels_them(root):
    (root / 'list.txt').write_text(
        'train/part_0/snip_a 1 0 3\ntrain/part_0/snip_b 4 0 1\nval/c 5 0 9\n'
    )
    content = convert(root, labelled_frames=root / 'list.txt')
    assert [i['is_labelled'] for i in content['images']] == [True, True, False, True]


def test_listed_frames_that_are_not_there_are_named(root):
    (root / 'list.txt').write_text(
        'train/part_0/snip_a 1 1 3\ntrain/part_0/snip_a 1 7 3\n'
    )
    with pytest.raises(FileNotFoundError, match='1 train frames of 2 .*snip_a/000007'):
        convert(root, labelled_frames=root / 'list.txt')
    (root / 'list.txt').write_text('val/c 1 1 3\n')
    with pytest.raises(ValueError, match='list.txt names no train frame of VID'):
        convert(root, labelled_frames=root / 'list.txt')


def test_an_unlabelled_video_has_the_size_of_its_stored_pixels(tmp_path):
    """As pipelines load it, whatever the EXIF orientation says."""
    path = tmp_path / 'Data/VID/train/part_0/snip/000000.JPEG'
    path.parent.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path, 'JPEG', exif=exif)
    image = convert(tmp_path)['images'][0]
    assert (image['width'], image['height']) == (60, 40)
