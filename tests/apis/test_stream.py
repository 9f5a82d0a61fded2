"""Streams: videos whose frames the caller passes one at a time."""

import gc
import threading
import weakref

import numpy as np
import pytest
from small_inferencers import same, video

from dff.apis import OneByOne, VideoInferencer
from dff.models import StreamState


@pytest.fixture
def inferencer(dff_cfg, checkpoint):
    return VideoInferencer(dff_cfg, checkpoint)


def alone(inferencer, count, *seeds):
    return [list(inferencer(video(count, seed=seed))) for seed in seeds]


def assert_same(found, wanted):
    assert same(found, wanted)
    assert (found.is_key_frame, found.offset) == (wanted.is_key_frame, wanted.offset)


def test_eight_streams_in_turn_are_what_each_is_alone(inferencer):
    wanted = alone(inferencer, 4, *range(8))
    frames = [video(4, seed=seed) for seed in range(8)]
    streams = [inferencer.open_stream(f'camera {n}') for n in range(8)]
    for index in range(4):
        for n, stream in enumerate(streams):
            found = stream(frames[n][index])
            assert_same(found, wanted[n][index])
            assert (found.video_name, found.frame_id) == (f'camera {n}', index)
            assert (stream.flow is None) == found.is_key_frame
    assert len({stream.video_id for stream in streams}) == 8


@pytest.mark.parametrize('count', [8, pytest.param(250, marks=pytest.mark.slow)])
def test_four_threads_are_what_each_is_alone(inferencer, count):
    """Two streams and two iterated sources; pictures of `video` do not reach far."""

    def pictures(seed):
        frames = video(8, seed=seed)
        return [frames[index % 8] for index in range(count)]

    wanted = [list(inferencer(pictures(seed))) for seed in range(4)]
    failures = []

    def work(seed):
        try:
            if seed % 2:
                found = inferencer(pictures(seed))
            else:
                stream = inferencer.open_stream()
                found = (stream(image) for image in pictures(seed))
            for one, other in zip(found, wanted[seed], strict=True):
                assert_same(one, other)
        except BaseException as error:
            failures.append((seed, repr(error)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_sources_of_two_lengths_iterated_in_turn(inferencer):
    wanted = alone(inferencer, 5, 0, 1)
    first, second = (inferencer(video(5, seed=seed)) for seed in range(2))
    assert_same(next(first), wanted[0][0])
    for other in wanted[1]:
        assert_same(next(second), other)
    for other in wanted[0][1:]:
        assert_same(next(first), other)


def test_memory_grows_with_open_streams_only(inferencer):
    def states():
        gc.collect()
        return sum(type(thing) is StreamState for thing in gc.get_objects())

    before, image = states(), video(1)[0]
    streams = [inferencer.open_stream() for _ in range(3)]
    for _ in range(4):
        for stream in streams:
            stream(image)
    assert states() - before == 3
    features = [weakref.ref(s.state.key_feats[0].maps[0]) for s in streams]
    streams[0].close()
    assert [feature() is None for feature in features] == [True, False, False]
    del streams, stream
    assert states() == before
    list(inferencer([image] * 3))
    assert states() == before


def test_a_closed_stream_is_not_used_again(inferencer):
    image = video(1)[0]
    with inferencer.open_stream('door') as stream:
        stream(image)
        assert not stream.is_closed and repr(stream) == "<Stream 'door', 1 frames>"
    assert stream.is_closed and stream.state.is_empty
    for use in (lambda: stream(image), stream.reset):
        with pytest.raises(ValueError, match="stream 'door' is closed"):
            use()
    stream.close()  # as often as you like


def test_a_stream_in_two_calls_at_once_is_an_error(inferencer):
    stream = inferencer.open_stream('door')
    begun, go_on = threading.Event(), threading.Event()
    flow = inferencer.model.propagation.flow_estimator

    def wait(*_):
        begun.set()
        assert go_on.wait(30)

    images = video(2)
    stream(images[0])
    handle = flow.register_forward_pre_hook(wait)
    found = []
    thread = threading.Thread(target=lambda: found.append(stream(images[1])))
    thread.start()
    assert begun.wait(30)
    for use in (lambda: stream(images[1]), stream.reset):
        with pytest.raises(ValueError, match="'door' is in another call"):
            use()
    handle.remove()
    other = inferencer.open_stream()
    assert other(images[1]).is_key_frame  # others are free
    go_on.set()
    thread.join()
    assert [sample.frame_id for sample in found] == [1]


def test_a_size_that_changes_is_an_error_unless_reset(inferencer):
    wide, tall = video(2), video(2, size=(100, 72))
    stream = inferencer.open_stream('door')
    stream(wide[0])
    message = r"'door' must have the size \(H, W\) \(72, 100\), got \(100, 72\)"
    with pytest.raises(ValueError, match=message):
        stream(tall[0])
    assert stream(wide[1]).offset == 1  # the stream goes on
    stream.reset()
    assert [stream(image).is_key_frame for image in tall] == [True, False]
    for stream in (OneByOne(inferencer), inferencer.open_stream(any_size=True)):
        keys = [stream(image).is_key_frame for image in wide + tall]
        assert keys == [True, False, True, False]


def test_reset_starts_a_key_frame_and_numbers_go_on(inferencer):
    images = video(3)
    stream = inferencer.open_stream()
    stream(images[0]), stream(images[1])
    stream.reset()
    found = stream(images[2])
    assert found.is_key_frame and found.frame_id == 2
    assert same(found, next(inferencer(images[2:])))


def test_dropped_frames_are_a_gap_in_the_numbers(inferencer):
    images = video(8)
    stream = inferencer.open_stream()
    found = [stream(images[0]), stream(images[2], frame_id=2), stream(images[3])]
    assert [f.offset for f in found] == [0, 2, 0]  # interval 3
    assert stream(images[7], frame_id=8).is_key_frame
    with pytest.raises(ValueError, match='must be above 8, that of.*got 8'):
        stream(images[7], frame_id=8)
    with pytest.raises(TypeError, match='frame_id must be an integer, got 9.5'):
        stream(images[7], frame_id=9.5)


@pytest.mark.parametrize(
    'image, error, match',
    [
        (7, TypeError, 'uint8 array .H, W, 3., got int'),
        (np.zeros((4, 4)), ValueError, r'got float64 \(4, 4\)'),
        (np.zeros((0, 4, 3), np.uint8), ValueError, 'frame 0 of door is empty'),
    ],
)
def test_images_that_are_none(inferencer, image, error, match):
    with pytest.raises(error, match=match):
        inferencer.open_stream('door')(image)


def test_image_models_have_streams_of_key_frames(frame_cfg, checkpoint):
    inferencer = VideoInferencer(frame_cfg, checkpoint)
    stream = inferencer.open_stream()
    for image, wanted in zip(video(2), list(inferencer(video(2))), strict=True):
        assert_same(stream(image), wanted)
    assert stream.flow is None
