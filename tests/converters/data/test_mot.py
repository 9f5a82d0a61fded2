import json

import cv2
import numpy as np
import pytest
from make_video import damage_packet

from dff.converters.data import convert_mot


def frame_image(index):
    return np.full((48, 64, 3), 20 * index + 10, np.uint8)


@pytest.fixture
def sequence(tmp_path):
    """Return a function that writes a sequence of six frames."""

    def make(rows, *, video=False, name='walk'):
        folder = tmp_path / 'in' / name
        (folder / 'gt').mkdir(parents=True)
        (folder / 'gt' / 'gt.txt').write_text('\n'.join(rows) + '\n')
        if video:
            code = cv2.VideoWriter_fourcc(*'MJPG')
            writer = cv2.VideoWriter(str(folder / f'{name}.avi'), code, 10, (64, 48))
            for index in range(6):
                writer.write(frame_image(index))
            writer.release()
        else:
            (folder / 'img1').mkdir()
            for index in range(6):
                path = folder / 'img1' / f'{index + 1:06d}.jpg'
                cv2.imwrite(str(path), frame_image(index))
        return folder

    return make


ROWS = [
    '1,1,11,6,20,30,1,-1,-1,-1',
    '3,1,13,6,20,30,1',
    '3,2,31,6,10,10,0',
    '6,1,1,1,5,5,1',
]


@pytest.mark.parametrize('video', [False, True])
def test_frames_and_boxes_fit(sequence, tmp_path, video):
    sequence(ROWS, video=video)
    out = tmp_path / 'out'
    convert_mot(tmp_path / 'in', out, name='all')
    content = json.loads((out / 'annotations' / 'all.json').read_text())
    assert [image['frame_id'] for image in content['images']] == list(range(6))
    assert all(image['is_labelled'] for image in content['images'])
    for image in content['images']:
        pixels = cv2.imread(str(out / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)
        assert abs(pixels.mean() - (20 * image['frame_id'] + 10)) < 3
    frame_of = {image['id']: image['frame_id'] for image in content['images']}
    boxes = [
        (frame_of[a['image_id']], a['instance_id'], a['bbox'], a['iscrowd'])
        for a in content['annotations']
    ]
    assert boxes == [  # corners count from 1 in MOT, from 0 here
        (0, 1, [10, 5, 20, 30], 0),
        (2, 1, [12, 5, 20, 30], 0),
        (2, 2, [30, 5, 10, 10], 1),
        (5, 1, [0, 0, 5, 5], 0),
    ]
    assert content['categories'] == [dict(id=1, name='person')]


@pytest.mark.parametrize('video', [False, True])
def test_a_part_keeps_its_frame_numbers(sequence, tmp_path, video):
    sequence(ROWS, video=video)
    convert_mot(tmp_path / 'in', tmp_path / 'out', name='part', frames=(2, 4))
    path = tmp_path / 'out' / 'annotations' / 'part.json'
    content = json.loads(path.read_text())
    assert [image['frame_id'] for image in content['images']] == [2, 3, 4]
    assert len(content['annotations']) == 2
    last = cv2.imread(str(tmp_path / 'out' / content['images'][-1]['file_name']))
    assert abs(last.mean() - 90) < 3
    assert not list(path.parent.glob('*.tmp')) and len(list(path.parent.iterdir())) == 1


def test_boxes_outside_are_clipped_or_dropped_and_counted(sequence, tmp_path):
    sequence(['1,1,60,1,30,30,1', '2,1,90,1,5,5,1', '2,2,5,5,0,9,1'])
    writer = convert_mot(tmp_path / 'in', tmp_path / 'out', name='all')
    assert [a['bbox'] for a in writer.annotations] == [[59, 0, 5, 30]]
    assert writer.counts == dict(clipped=1, dropped=2)
    assert 'gt.txt:2' in writer.report()


@pytest.mark.parametrize('video', [False, True])
def test_bad_input_is_named_and_leaves_no_json(sequence, tmp_path, video):
    folder = sequence(ROWS, video=video)
    root, out = tmp_path / 'in', tmp_path / 'out'
    gt = folder / 'gt' / 'gt.txt'
    for error, text, frames, message in (
        (ValueError, '1,1,oops', (0, None), r'gt.txt:1: expected frame,id.*oops'),
        (ValueError, '0,1,1,1,9,9,1', (0, None), r'gt.txt:1: frame numbers start at 1'),
        (FileNotFoundError, '9,1,1,1,9,9,1', (0, None), 'gt.txt:1: annotates frame 9'),
        (
            ValueError,
            '1,1,1,1,9,9,1',
            (4, 9),
            '6 (frames|images), requested are 4-9',
        ),
    ):
        gt.write_text(text + '\n')
        with pytest.raises(error, match=message):
            convert_mot(root, out, name='bad', frames=frames)
    gt.unlink()
    with pytest.raises(FileNotFoundError, match='no VIDEO/gt/gt.txt in'):
        convert_mot(root, out, name='bad')
    assert not (out / 'annotations' / 'bad.json').exists()


@pytest.mark.parametrize('content', [b'', b'no video at all'])
def test_unreadable_video_is_named(sequence, tmp_path, content):
    folder = sequence(ROWS, video=True)
    (folder / 'walk.avi').write_bytes(content)
    with pytest.raises(ValueError, match='cannot read video .*walk.avi'):
        convert_mot(tmp_path / 'in', tmp_path / 'out', name='bad')


def test_video_with_a_bad_packet_is_refused(sequence, tmp_path):
    """Without a frame, the boxes of all later ones would be on the wrong pictures."""
    folder = sequence(ROWS, video=True)
    damage_packet(folder / 'walk.avi', 3, folder / 'walk.avi')
    with pytest.raises(ValueError, match=r'walk\.avi: frame 3 '):
        convert_mot(tmp_path / 'in', tmp_path / 'out', name='bad')
    assert not [path for path in (tmp_path / 'out').rglob('*') if path.is_file()]
    convert_mot(tmp_path / 'in', tmp_path / 'out', name='good', frames=(4, 5))


def test_real_sequence(dff_data, tmp_path):
    """Counts of PETS09-S2L1, read off gt.txt by hand."""
    root = dff_data / 'mot' / 'PETS09-S2L1'
    writer = convert_mot(root, tmp_path, name='pets', frames=(100, 104))
    rows = [line.split(',') for line in (root / 'gt' / 'gt.txt').read_text().split()]
    expected = sum(101 <= int(row[0]) <= 105 for row in rows)
    assert len(writer.annotations) == expected > 0
    assert {(image['width'], image['height']) for image in writer.images} == {
        (768, 576)
    }
