import cv2
import numpy as np
import pytest

from dff.apis.video_source import open_frames


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


def test_frame_of_a_cut_video_is_named(tmp_path):
    path = write_video(tmp_path / 'cut.avi', noise=100)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    frames = open_frames(path)
    read = []
    with pytest.raises(ValueError, match=r'cut\.avi: frame (\d+) of 20 cannot') as info:
        for frame in frames:
            read.append(frame)
    assert 0 < len(read) < 20 and f'frame {len(read)} of' in str(info.value)


def test_unreadable_image_is_named(tmp_path):
    write_images(tmp_path, [1, 2], ['0.png', '2.png'])
    (tmp_path / '1.png').write_bytes(b'no image')
    frames = iter(open_frames(tmp_path))
    next(frames)
    with pytest.raises(ValueError, match=r'1\.png \(frame 1\) cannot be read'):
        next(frames)
    frames = open_frames(tmp_path)
    (tmp_path / '0.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'0\.png \(frame 0\) does not exist'):
        next(iter(frames))


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
