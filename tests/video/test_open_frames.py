import cv2
import numpy as np
import pytest

from dff.video import open_frames


def gray_level(frame):
    return round(float(frame.image.mean()))


def write_images(folder, levels, names):
    for level, name in zip(levels, names, strict=True):
        cv2.imwrite(str(folder / name), np.full((12, 16, 3), level, np.uint8))


def write_video(path, count=20, code='MJPG', size=(64, 48), noise=0):
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 12, size)
    for i in range(count):
        image = 10 * i + rng.integers(0, noise + 1, (size[1], size[0], 3))
        writer.write(image.clip(0, 255).astype(np.uint8))
    writer.release()
    return path


def test_folder_is_read_in_natural_order(tmp_path):
    write_images(tmp_path, [10, 20, 100], ['2.png', '10.png', '100.png'])
    (tmp_path / 'notes.txt').write_text('no image')
    frames = open_frames(tmp_path)
    assert frames.count == 3 and frames.fps is None
    assert [gray_level(frame) for frame in frames] == [10, 20, 100]
    assert [frame.path[-6:] for frame in frames][0] == '/2.png'


def test_glob_and_single_image(tmp_path):
    write_images(tmp_path, [10, 20, 30], ['a1.png', 'a2.PNG', 'b1.png'])
    assert [gray_level(f) for f in open_frames(f'{tmp_path}/a*')] == [10, 20]
    assert [gray_level(f) for f in open_frames(tmp_path / 'b1.png')] == [30]


def test_folder_whose_name_looks_like_a_pattern(tmp_path):
    folder = tmp_path / 'clip [1]'
    folder.mkdir()
    write_images(folder, [50], ['0.png'])
    assert [gray_level(f) for f in open_frames(str(folder))] == [50]


def test_video_twice(tmp_path):
    frames = open_frames(write_video(tmp_path / 'v.avi'))
    assert frames.count == 20 and frames.fps == pytest.approx(12)
    for _ in range(2):
        levels = [gray_level(frame) for frame in frames]
        np.testing.assert_allclose(levels, np.arange(20) * 10, atol=2)


def test_arrays_are_taken_one_at_a_time():
    taken = []

    def images():
        for i in range(3):
            taken.append(i)
            yield np.full((4, 6, 3), i, np.uint8)

    frames = iter(open_frames(images()))
    assert taken == []
    assert gray_level(next(frames)) == 0 and taken == [0]
    assert [gray_level(f) for f in frames] == [1, 2]


def test_what_is_not_there(tmp_path):
    for name in ('no.mp4', 'no*.png'):
        with pytest.raises(FileNotFoundError, match=r'no(\.mp4|\*\.png)'):
            open_frames(tmp_path / name)
    with pytest.raises(ValueError, match=f'{tmp_path} contains no image'):
        open_frames(tmp_path)
    with pytest.raises(ValueError, match='camera 97 cannot be opened'):
        open_frames(97)
    with pytest.raises(ValueError, match='at least 0, got -1'):
        open_frames(-1)
    with pytest.raises(TypeError, match='got NoneType'):
        open_frames(None)


def test_empty_and_unreadable_videos_are_named(tmp_path):
    path = tmp_path / 'empty.mp4'
    path.write_bytes(b'')
    with pytest.raises(ValueError, match=r'empty\.mp4 is an empty file'):
        open_frames(path)
    path = tmp_path / 'text.mp4'
    path.write_text('this is no video')
    with pytest.raises(ValueError, match=r'text\.mp4 cannot be opened as a video'):
        open_frames(path)
    whole = write_video(tmp_path / 'whole.mp4', code='mp4v').read_bytes()
    path = tmp_path / 'head.mp4'
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r'head\.mp4 cannot be opened as a video'):
        open_frames(path)


def test_unreadable_image_is_named(tmp_path):
    write_images(tmp_path, [1, 2], ['0.png', '2.png'])
    (tmp_path / '1.png').write_bytes(b'no image')
    frames = iter(open_frames(tmp_path, on_damage='raise'))
    next(frames)
    with pytest.raises(ValueError, match=r'frame 1 cannot be read: .*1\.png'):
        next(frames)
    frames = open_frames(tmp_path, on_damage='raise')
    (tmp_path / '0.png').unlink()
    with pytest.raises(ValueError, match=r'frame 0 .*0\.png does not exist'):
        next(iter(frames))


def test_unreadable_image_is_a_gap(tmp_path):
    write_images(tmp_path, [10, 20], ['0.png', '2.png'])
    (tmp_path / '1.png').write_bytes(b'no image')
    frames = open_frames(tmp_path)
    found = [(f.index, gray_level(f), f.starts_anew) for f in frames]
    assert found == [(0, 10, False), (2, 20, True)]
    assert [damage.number for damage in frames.damage] == [1]
    for name in ('0.png', '2.png'):
        (tmp_path / name).write_bytes(b'')
    with pytest.raises(ValueError, match=r'no readable frame: .*0\.png cannot be'):
        list(open_frames(tmp_path))


@pytest.mark.parametrize('kind', ['folder', 'video', 'arrays'])
def test_part_of_a_source(tmp_path, kind):
    """Oracle: the same slice of a list."""
    levels = [10 * i for i in range(20)]
    if kind == 'folder':
        write_images(tmp_path, levels, [f'{i}.png' for i in range(20)])
        source = tmp_path
    elif kind == 'video':
        source = write_video(tmp_path / 'v.avi')
    else:
        source = [np.full((4, 6, 3), level, np.uint8) for level in levels]
    for start, stop, stride in [(0, None, 3), (4, 11, 1), (5, 17, 4), (19, 99, 2)]:
        frames = open_frames(source, start=start, stop=stop, stride=stride)
        expected = levels[start:stop:stride]
        found = list(frames)
        np.testing.assert_allclose([gray_level(f) for f in found], expected, atol=2)
        assert [frame.index for frame in found] == list(range(len(expected)))
        assert not any(frame.starts_anew for frame in found)
        assert frames.count == len(expected)
        assert frames.fps == (pytest.approx(12 / stride) if kind == 'video' else None)


def test_arrays_behind_the_part_are_not_taken():
    images = iter(np.full((4, 6, 3), i, np.uint8) for i in range(9))
    assert [gray_level(f) for f in open_frames(images, stop=4, stride=2)] == [0, 2]
    assert next(images)[0, 0, 0] == 4


@pytest.mark.parametrize(
    ('options', 'error', 'match'),
    [
        (dict(start=-1), ValueError, 'start must be at least 0, got -1'),
        (dict(start=3, stop=3), ValueError, 'stop must be at least 4, got 3'),
        (dict(stride=0), ValueError, 'stride must be at least 1, got 0'),
        (dict(stride=2.0), TypeError, 'stride must be an integer, got 2.0'),
        (dict(on_damage='no'), ValueError, "'skip' or 'raise', got 'no'"),
        (dict(drop='old'), ValueError, 'for cameras and addresses only'),
        (dict(reconnect=3), ValueError, 'for cameras and addresses only'),
    ],
)
def test_options_that_do_not_suit(tmp_path, options, error, match):
    write_images(tmp_path, [10], ['0.png'])
    with pytest.raises(error, match=match):
        open_frames(tmp_path, **options)
    with pytest.raises(ValueError, match='is open already'):
        open_frames(open_frames(tmp_path), start=1)


@pytest.mark.parametrize(
    ('images', 'error', 'match'),
    [
        ([], ValueError, 'iterable of frames is empty'),
        (np.zeros((5, 6, 3), np.uint8), ValueError, r'frame 0 must .* uint8 \(6, 3\)'),
        ([np.zeros((5, 6, 3))], ValueError, r'frame 0 must .* float64 \(5, 6, 3\)'),
        ([np.zeros((0, 6, 3), np.uint8)], ValueError, 'frame 0 is empty'),
        (['a.png'], TypeError, 'frame 0 must .* got str'),
    ],
)
def test_arrays_that_are_no_frames(images, error, match):
    with pytest.raises(error, match=match):
        list(open_frames(images))
