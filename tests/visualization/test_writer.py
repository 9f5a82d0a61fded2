"""Video files and folders that are written, also by runs that do not end well."""

import os
import signal
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest
from make_video import gray_level, gray_pictures, noise_pictures, write_video

from dff.video import open_frames
from dff.visualization import VideoWriter, writer


@pytest.fixture(params=['av', 'cv'])
def backend(request, monkeypatch):
    monkeypatch.setattr(writer, 'has_av', lambda: request.param == 'av')
    return request.param


@pytest.mark.parametrize('size', [(48, 64), (49, 63)])
def test_video_holds_what_was_written(tmp_path, size, backend):
    path = tmp_path / 'deep' / 'out.mp4'
    with VideoWriter(path, fps=10) as video:
        for i in range(5):
            video.write(np.full((*size, 3), 40 * i, np.uint8))
        assert not path.exists()
    assert [p.name for p in path.parent.iterdir()] == ['out.mp4']
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == 10
    for i in range(5):
        is_read, image = capture.read()
        assert is_read and image.shape == (48 + size[0] % 2 * 2, 64, 3)
        assert abs(image.mean() - 40 * i) < 4
    assert not capture.read()[0]


def test_h264_that_browsers_play(tmp_path):
    path = tmp_path / 'out.mp4'
    colors = [(200, 60, 30), (30, 200, 60), (20, 20, 220)]  # BGR
    with VideoWriter(path, fps=10, crf=1) as video:
        for color in colors:
            video.write(np.full((48, 64, 3), color, np.uint8))
    content = path.read_bytes()
    assert content.index(b'moov') < content.index(b'mdat')  # can start at once
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264'
        assert stream.codec_context.pix_fmt == 'yuv420p'
        assert stream.codec_context.colorspace == 1  # BT.709
        found = [frame.to_ndarray(format='bgr24')[24, 32] for frame in
                 container.decode(stream)]  # fmt: skip
    np.testing.assert_allclose(found, colors, atol=5)


def test_crf_is_quality(tmp_path):
    sizes = []
    for crf in (5, 40):
        path = tmp_path / f'{crf}.mp4'
        with VideoWriter(path, crf=crf) as video:
            for image in noise_pictures(10, (96, 128)):
                video.write(image)
        sizes.append(path.stat().st_size)
    assert sizes[0] > 2 * sizes[1]
    with pytest.raises(ValueError, match=r'crf must be in \[0, 51\], got 60'):
        VideoWriter(tmp_path / 'a.mp4', crf=60)


def sound_of(path, limit=np.inf):
    """Return {seconds: bytes} of the packets of the sound, to the hundredth."""
    with av.open(str(path)) as container:
        start = container.start_time / av.time_base
        return {
            round(float(p.pts * p.time_base) - start, 2): bytes(p)
            for p in container.demux(audio=0)
            if p.size and float(p.pts * p.time_base) - start < limit
        }


@pytest.mark.parametrize('suffix', ['.mkv', '.mp4', '.ts'])
def test_times_and_sound_of_the_source_are_kept(tmp_path, suffix):
    times = None if suffix == '.ts' else [0, 100, 200, 600, 700, 900, 1500, 1600]
    path = tmp_path / f'in{suffix}'
    write_video(path, gray_pictures(8), times=times, sound=3.0)
    out = tmp_path / 'out.mp4'
    source = open_frames(path)
    with VideoWriter(out, fps=10, sound=source.sound) as video:
        for frame in source:
            video.write(frame.image, time=frame.time)
    before, after = list(open_frames(path)), list(open_frames(out, on_damage='raise'))
    expected = [frame.time for frame in before]
    np.testing.assert_allclose([f.time for f in after], expected, atol=0.002)
    found = [float(frame.image[30:, 40:].mean()) for frame in after]
    np.testing.assert_allclose(found, [gray_level(i) for i in range(8)], atol=9)
    end = expected[-1] + 0.1
    copied, original = sound_of(out), sound_of(path, end)
    assert abs(len(copied) - len(original)) <= 1 and len(copied) > 4
    payload = [p for p in original.values()]
    if suffix != '.ts':  # whose packets have headers of their own
        assert [p for p in copied.values()][1:5] == payload[1:5]
    np.testing.assert_allclose(list(copied)[:5], list(original)[:5], atol=0.03)


def test_sound_that_an_mp4_cannot_hold_is_left_out(tmp_path):
    """And so is that of a file without any."""
    silent = write_video(tmp_path / 'silent.mp4', gray_pictures(3))
    wave = tmp_path / 'odd.avi'
    with av.open(str(wave), 'w') as container:
        stream = container.add_stream('adpcm_ms', rate=8000, layout='mono')
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.int16), format='s16', layout='mono'
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for sound in (silent, wave, tmp_path / 'gone.mp4'):
        with VideoWriter(tmp_path / 'out.mp4', sound=sound) as video:
            video.write(np.zeros((48, 64, 3), np.uint8))
        with av.open(str(tmp_path / 'out.mp4')) as container:
            assert len(container.streams) == 1


def test_folder_of_frames(tmp_path):
    path = tmp_path / 'frames'
    with VideoWriter(path) as video:
        video.write(np.full((20, 30, 3), 10, np.uint8))
        video.write(np.full((40, 30, 3), 90, np.uint8))
    assert sorted(p.name for p in path.iterdir()) == ['000000.jpg', '000001.jpg']
    assert abs(cv2.imread(str(path / '000001.jpg')).mean() - 90) < 2
    with pytest.raises(FileExistsError, match='frames is not empty'):
        VideoWriter(path)


def test_an_error_keeps_the_old_video_and_what_was_written(tmp_path, backend):
    path, partial = tmp_path / 'out.mp4', tmp_path / 'out.partial.mp4'
    path.write_bytes(b'old')
    with pytest.raises(ValueError, match=r'frame 3 has the size \(20, 32\)'):
        with VideoWriter(path) as video:
            for i in range(3):
                video.write(np.full((16, 32, 3), 50 * i, np.uint8))
            video.write(np.zeros((20, 32, 3), np.uint8))
    assert path.read_bytes() == b'old'
    assert set(tmp_path.iterdir()) == {path, partial}
    levels = [frame.image.mean() for frame in open_frames(partial)]
    np.testing.assert_allclose(levels, [0, 50, 100], atol=4)
    with VideoWriter(path) as video:  # the next run replaces both
        video.write(np.zeros((20, 32, 3), np.uint8))
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() != b'old'


def test_outputs_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match='no frame was written'):
        with VideoWriter(tmp_path / 'out.mp4'):
            pass
    with pytest.raises(ValueError, match=r'must end in \.mp4'):
        VideoWriter(tmp_path / 'out.mkv')
    (tmp_path / 'frames.partial').mkdir()
    (tmp_path / 'frames.partial' / 'mine.txt').write_text('mine')
    with pytest.raises(FileExistsError, match=r'files of others: mine\.txt'):
        with VideoWriter(tmp_path / 'frames') as video:
            video.write(np.zeros((20, 32, 3), np.uint8))
    assert not list(tmp_path.glob('out*'))


def test_a_killed_run_leaves_what_it_wrote(tmp_path):
    """Nothing under the final name, and a video that plays nearly to the kill."""
    script = (
        'import sys, numpy as np\n'
        'from dff.visualization import VideoWriter\n'
        'video, folder = (VideoWriter(path, fps=10) for path in sys.argv[1:])\n'
        'with video, folder:\n'
        '    while True:\n'
        '        image = np.full((48, 64, 3), video.count % 250, np.uint8)\n'
        '        for writer in (video, folder):\n'
        '            writer.write(image)\n'
        '        print(writer.count, flush=True)\n'
    )
    names = [str(tmp_path / name) for name in ('out.mp4', 'frames')]
    command = [sys.executable, '-c', script, *names]
    count = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        while count < 200:
            count = int(run.stdout.readline())
        os.kill(run.pid, signal.SIGKILL)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ['frames.partial', 'out.partial.mp4']
    assert len(list((tmp_path / 'frames.partial').iterdir())) >= 200
    levels = [frame.image.mean() for frame in open_frames(tmp_path / left[1])]
    assert len(levels) >= 100  # x264 holds back some, and one fragment is open
    np.testing.assert_allclose(levels, np.arange(len(levels)) % 250, atol=6)
