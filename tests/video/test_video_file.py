"""Video files of many kinds, each made with PyAV in the test."""

import importlib.util
import struct
import threading

import cv2
import numpy as np
import pytest
from make_video import gray_level, gray_pictures, noise_pictures, write_video

from dff.video import open_frames, video_file
from dff.video.read_ahead import AHEAD

KINDS = {
    'H.264': dict(name='a.mp4'),
    'H.264 in TS, from 1.4 s': dict(name='a.ts'),
    'HEVC': dict(name='a.mp4', codec='libx265', **{'x265-params': 'log-level=none'}),
    'VP9': dict(name='a.webm', codec='libvpx-vp9'),
    'AV1': dict(name='a.mkv', codec='libsvtav1', size=(64, 64)),
    'MPEG-4': dict(name='a.avi', codec='mpeg4'),
    'MJPEG': dict(name='a.avi', codec='mjpeg', pix_fmt='yuvj420p'),
    'GIF': dict(name='a.gif', codec='gif', pix_fmt='rgb8', tolerance=22),
    '10 bit': dict(name='a.mp4', pix_fmt='yuv420p10le'),
    'full range': dict(name='a.mkv', pix_fmt='yuvj420p'),
    'gray': dict(name='a.mkv', codec='ffv1', pix_fmt='gray'),
    '16 bit gray': dict(name='a.mkv', codec='ffv1', pix_fmt='gray16le'),
    'alpha': dict(name='a.mkv', codec='ffv1', pix_fmt='bgra'),
    'odd size': dict(name='a.webm', codec='libvpx-vp9', size=(47, 63)),
    'odd size in 4:4:4': dict(name='a.mp4', pix_fmt='yuv444p', size=(47, 63)),
}


def levels(frames):
    """Gray levels of the lower right quarters."""
    return [float(f.image[f.image.shape[0] // 2 :, -20:].mean()) for f in frames]


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_file(tmp_path, kind):
    options = dict(KINDS[kind])
    size, tolerance = options.pop('size', (48, 64)), options.pop('tolerance', 6)
    path = tmp_path / options.pop('name')
    write_video(path, gray_pictures(12, size), **options)
    source = open_frames(path)
    frames = list(source)
    assert source.damage == []
    assert {frame.image.shape for frame in frames} == {(*size, 3)}
    assert {frame.image.dtype.name for frame in frames} == {'uint8'}
    expected = [gray_level(i) for i in range(12)]
    np.testing.assert_allclose(levels(frames), expected, atol=tolerance)
    for frame in frames:  # the corner is where it was
        assert frame.image[2:8, 2:8].mean() > 215
    assert [frame.index for frame in frames] == list(range(12))
    times = [frame.time for frame in frames]
    np.testing.assert_allclose(times, np.arange(12) / 10, atol=0.002)
    assert source.fps == pytest.approx(10)
    # a TS states no count, and its duration is only estimated
    assert source.count == 12 or path.suffix == '.ts'


def test_picture_types(tmp_path):
    path = write_video(tmp_path / 'a.mp4', gray_pictures(12), g='4', bf='0')
    kinds = [frame.picture_type for frame in open_frames(path)]
    assert kinds == ['I', 'P', 'P', 'P'] * 3


@pytest.mark.parametrize('rotation', [90, 180, -90])
def test_rotation_as_players_show_it(tmp_path, rotation):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = 255  # upper left
    path = write_video(tmp_path / 'a.mp4', [image] * 3, rotation=rotation)
    shown = next(iter(open_frames(path))).image
    corner = {90: (-5, 5), 180: (-5, -5), -90: (5, -5)}[rotation]
    assert shown.shape == ((48, 64, 3) if rotation == 180 else (64, 48, 3))
    assert shown[corner].min() > 240
    corners = shown[[5, 5, -5, -5], [5, -5, 5, -5]]
    assert (corners.max(axis=1) < 20).sum() == 3
    np.testing.assert_array_equal(shown, cv2.VideoCapture(str(path)).read()[1])


@pytest.mark.parametrize('suffix', ['.mkv', '.webm', '.mp4'])
def test_variable_frame_rate_is_no_damage(tmp_path, suffix):
    times = [0, 100, 200, 900, 1000, 2400, 2500, 2600, 2650, 4000, 4100, 4800]
    path = tmp_path / f'a{suffix}'
    codec = 'libvpx-vp9' if suffix == '.webm' else 'libx264'
    write_video(path, gray_pictures(12), codec=codec, times=times)
    source = open_frames(path, on_damage='raise')
    frames = list(source)
    assert len(frames) == 12
    found = [frame.time for frame in frames]
    np.testing.assert_allclose(found, np.array(times) / 1000, atol=0.002)


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_sound_may_be_longer_than_the_picture(tmp_path, suffix):
    path = write_video(tmp_path / f'a{suffix}', gray_pictures(12), sound=4.0)
    frames = list(open_frames(path, on_damage='raise'))
    expected = [gray_level(i) for i in range(12)]
    np.testing.assert_allclose(levels(frames), expected, atol=6)


def test_edit_list_is_no_damage(tmp_path):
    """An editor trimmed four frames at the start, without encoding anew."""
    path = write_video(tmp_path / 'a.mp4', gray_pictures(12), bf='0')
    content = bytearray(path.read_bytes())
    place = content.index(b'elst') + 12
    duration, start = struct.unpack_from('>Ii', content, place)
    scale = struct.unpack_from('>I', content, content.index(b'mdhd') + 16)[0]
    skipped = 4 * scale // 10
    struct.pack_into('>Ii', content, place, duration - 400, start + skipped)
    path.write_bytes(content)
    source = open_frames(path, on_damage='raise')
    expected = [gray_level(i) for i in range(4, 12)]
    frames = list(source)
    np.testing.assert_allclose(levels(frames), expected, atol=6)
    np.testing.assert_allclose([f.time for f in frames], np.arange(8) / 10, atol=0.002)
    assert source.count == 12  # as the container states


def test_motion_vectors_of_a_moving_picture(tmp_path):
    rng = np.random.default_rng(0)
    canvas = cv2.GaussianBlur(rng.integers(0, 256, (96, 192, 3), np.uint8), (0, 0), 2)
    canvas = cv2.normalize(canvas, None, 0, 255, cv2.NORM_MINMAX)
    images = [np.ascontiguousarray(canvas[:, 4 * i : 96 + 4 * i]) for i in range(12)]
    path = write_video(tmp_path / 'a.mp4', images, bf='0', refs='1')
    frames = list(open_frames(path, with_vectors=True))
    assert frames[0].vectors is None  # an I picture
    for frame in frames[1:]:
        vectors = frame.vectors
        motion = vectors['motion_x'] / vectors['motion_scale']
        # what is at x now was at x + 4 in the frame before
        assert np.median(motion) == pytest.approx(4, abs=0.3)
    assert all(frame.vectors is None for frame in open_frames(path))


def test_decoding_runs_a_few_frames_ahead(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'a.avi', noise_pictures(40), codec='mjpeg',
                       pix_fmt='yuvj420p')  # fmt: skip
    decoded = []
    original = video_file.VideoFile._decode

    def count(self, stop):
        for item in original(self, stop):
            decoded.append(item.index)
            yield item

    monkeypatch.setattr(video_file.VideoFile, '_decode', count)
    before = threading.active_count()
    frames = iter(open_frames(path))
    for _ in range(5):
        next(frames)
    while len(decoded) < 5 + AHEAD:
        pass
    assert threading.active_count() == before + 1
    # those that wait, and one that finds no room
    assert len(decoded) <= 5 + AHEAD + 1
    frames.close()
    assert threading.active_count() == before


@pytest.fixture
def without_av(monkeypatch):
    find_spec = importlib.util.find_spec

    def find(name, *args):
        return None if name == 'av' else find_spec(name, *args)

    monkeypatch.setattr(importlib.util, 'find_spec', find)
    video_file.has_av.cache_clear()
    yield
    video_file.has_av.cache_clear()


def test_without_av_opencv_reads_and_it_is_said_once(tmp_path, without_av, caplog):
    path = write_video(tmp_path / 'a.mp4', gray_pictures(12))
    with caplog.at_level('WARNING', logger='current'):
        for _ in range(2):
            source = open_frames(path, start=2, stride=3)
            frames = list(source)
    expected = [gray_level(i) for i in (2, 5, 8, 11)]
    np.testing.assert_allclose(levels(frames), expected, atol=6)
    assert [frame.time for frame in frames] == [None] * 4
    assert source.count == 4 and source.damage == []
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dff\[video\]'"):
        open_frames(path, with_vectors=True)


def test_without_av_an_early_end_is_told(tmp_path, without_av):
    path = tmp_path / 'a.avi'
    write_video(path, noise_pictures(20), codec='mjpeg', pix_fmt='yuvj420p')
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    source = open_frames(path)
    count = len(list(source))
    assert 0 < count < 20
    assert [damage.number for damage in source.damage] == [count]
    with pytest.raises(ValueError, match=r'a\.avi.*promises 20 frames.*PyAV can tell'):
        list(open_frames(path, on_damage='raise'))
