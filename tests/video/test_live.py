"""A live MJPEG server, which is slower, faster or dead."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from dff.video import open_frames, video_file

RATE = 50  # frames per second
PATIENCE = 20  # seconds until a test gives up


class Camera:
    """An MJPEG server on 127.0.0.1; frame n of a run has the gray level n."""

    def __init__(self, port=0, first=0):
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                kind = 'multipart/x-mixed-replace; boundary=frame'
                self.send_response(200)
                self.send_header('Content-Type', kind)
                self.end_headers()
                try:
                    camera.send(self.wfile)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        self.first = first
        self.is_stopped = threading.Event()
        self.server = ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f'http://127.0.0.1:{self.port}/video.mjpg'
        threading.Thread(target=self.server.serve_forever, args=(0.02,)).start()

    def send(self, stream):
        for level in range(self.first, 256):
            if self.is_stopped.wait(1 / RATE):
                break
            image = np.full((48, 64, 3), level, np.uint8)
            data = cv2.imencode('.jpg', image)[1].tobytes()
            head = f'Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n'
            stream.write(b'--frame\r\n' + head.encode() + data + b'\r\n')

    def kill(self):
        self.is_stopped.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(params=['av', 'cv'])
def camera(request, monkeypatch):
    if request.param == 'cv':
        monkeypatch.setattr(video_file, 'has_av', lambda: False)
    camera = Camera()
    yield camera
    camera.kill()


def level(frame):
    return round(float(frame.image.mean()))


def test_slow_reader_gets_the_newest_frame(camera):
    source = open_frames(camera.url)
    assert source.count is None
    frames = iter(source)
    start = level(next(frames))
    found = []
    for _ in range(6):
        time.sleep(8 / RATE)
        found.append(next(frames))
    indices = [frame.index for frame in found]
    # numbers are those of the source, so each is as far behind the first as its level
    for frame in found:
        assert abs(level(frame) - start - frame.index) <= 1
    steps = np.diff(indices)
    assert (steps >= 1).all() and steps.sum() > 10
    assert source.skipped == indices[-1] - 6  # frame 0 and five of the others
    assert not any(frame.starts_anew for frame in found) and source.damage == []
    frames.close()


def test_patient_reader_gets_every_frame(camera):
    source = open_frames(camera.url, drop=None)
    found = []
    for frame in source:
        found.append(frame)
        time.sleep(2 / RATE)
        if len(found) == 12:
            break
    assert [frame.index for frame in found] == list(range(12))
    assert (np.diff([level(frame) for frame in found]) == 1).all()
    assert source.skipped == 0


def test_lost_connection_ends_the_source(camera):
    source = open_frames(camera.url)
    count = 0
    for _ in source:
        count += 1
        if count == 5:
            camera.kill()
    assert 'the connection was lost' in str(source.damage[-1])
    camera.kill()


def test_lost_connection_is_an_error_if_asked_for(camera):
    frames = iter(open_frames(camera.url, on_damage='raise'))
    next(frames)
    camera.kill()
    with pytest.raises(ValueError, match='127.0.0.1.* the connection was lost'):
        for _ in range(1000):
            next(frames)


def test_server_that_comes_back(camera):
    source = open_frames(camera.url, reconnect=PATIENCE)
    frames, servers = iter(source), []
    before = [next(frames) for _ in range(5)]
    camera.kill()
    # so late that some attempts to connect fail
    restart = threading.Timer(
        0.6, lambda: servers.append(Camera(camera.port, first=150))
    )
    restart.start()
    try:
        for frame in frames:
            if frame.starts_anew:
                break
            before.append(frame)
        after = [frame, *(next(frames) for _ in range(3))]
    finally:
        frames.close()
        restart.join()
        for server in servers:
            server.kill()
    assert all(level(frame) < 140 for frame in before)
    assert all(level(frame) >= 149 for frame in after)
    assert after[0].index > before[-1].index + 1  # a gap
    assert not any(frame.starts_anew for frame in after[1:])
    indices = [frame.index for frame in after]
    assert indices == sorted(set(indices))
    assert len(source.damage) == 1
    times = [frame.time for frame in [*before, *after]]
    assert times[0] == 0 and (np.diff(times) > 0).all()
    assert after[0].time - before[-1].time > 0.5  # the clock ran on


def test_server_that_does_not_come_back(camera):
    source = open_frames(camera.url, reconnect=0.6)
    frames = iter(source)
    next(frames)
    camera.kill()
    list(frames)
    assert len(source.damage) == 1
    before = threading.active_count()
    with pytest.raises(ValueError, match='cannot be opened as a video'):
        open_frames(camera.url)
    assert threading.active_count() == before


def test_options_of_live_sources(camera):
    with pytest.raises(ValueError, match='start, stop, stride .* for files only'):
        open_frames(camera.url, stride=2)
    with pytest.raises(ValueError, match="drop must be 'old' or None, got 'new'"):
        open_frames(camera.url, drop='new')
    with pytest.raises(ValueError, match='reconnect must be above 0'):
        open_frames(camera.url, reconnect=0)
