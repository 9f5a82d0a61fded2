import cv2
import numpy as np
import pytest

from dff.converters.data import arrange_camvid


@pytest.fixture
def flat(tmp_path):
    """Five frames of one video as CamVid names them, one of another."""
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    names = [f'0016E5_0{n}' for n in range(7959, 7969, 2)] + ['Seq05VD_f00120']
    for number, name in enumerate(names):
        pixels = np.full((4, 6), number, np.uint8)
        cv2.imwrite(str(tmp_path / 'images' / f'{name}.JPG'), pixels)
        cv2.imwrite(str(tmp_path / 'labels' / f'{name}.png'), pixels)
    return tmp_path


def arrange(flat, **kwargs):
    options = dict(split='test', **kwargs)
    return arrange_camvid(flat / 'images', flat / 'labels', flat / 'out', **options)


def names(folder):
    files = (p for p in folder.rglob('*') if p.is_file())
    return sorted(p.relative_to(folder).as_posix() for p in files)


def test_names_tell_video_and_frame(flat):
    assert arrange(flat) == (6, 6)
    expected = [f'0016E5/00{n}' for n in range(7959, 7969, 2)] + ['Seq05VD/000120']
    images = flat / 'out' / 'images' / 'test'
    assert names(images) == [f'{n}.jpg' for n in expected]
    labels = flat / 'out' / 'labels' / 'test'
    assert names(labels) == [f'{n}.png' for n in expected]
    for number, name in enumerate(expected):
        assert (cv2.imread(str(labels / f'{name}.png'), -1) == number).all()
        assert (cv2.imread(str(images / f'{name}.jpg'), 0) == number).all()


def test_ranges_count_from_zero_with_both_ends(flat):
    assert arrange(flat, frames=(1, 3), labelled=(2, None)) == (3, 2)
    expected = [f'0016E5/00{n}' for n in (7961, 7963, 7965)]
    assert names(flat / 'out' / 'images' / 'test') == [f'{n}.jpg' for n in expected]
    assert names(flat / 'out' / 'labels' / 'test') == [f'{n}.png' for n in expected[1:]]
    assert arrange(flat, frames=(4, 99)) == (2, 2)  # adds to the split
    assert len(names(flat / 'out' / 'images' / 'test')) == 5


def test_what_is_missing_is_named(flat):
    with pytest.raises(ValueError, match=r'has 6 frames, none of them in \(6, 9\)'):
        arrange(flat, frames=(6, 9))
    (flat / 'labels' / '0016E5_07961.png').unlink()
    with pytest.raises(FileNotFoundError, match='0016E5_07961.png does not exist'):
        arrange(flat)
    assert not names(flat / 'out')  # of those that came before it
    (flat / 'images' / 'holiday.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match='holiday.jpg must be named VIDEO_FRAME'):
        arrange(flat, frames=(6, 6))
    with pytest.raises(FileNotFoundError, match='images must be a folder'):
        arrange_camvid(flat / 'none', flat / 'labels', flat / 'out', split='test')
