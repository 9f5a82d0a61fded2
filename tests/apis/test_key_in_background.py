"""Streams whose key frames are computed beside them."""

import threading
import time

import pytest
import torch
from mmengine.dataset import pseudo_collate
from small_inferencers import same, video

from dff.apis import VideoInferencer
from dff.models import StreamState

LAG = 2  # frames; the interval is 3
OFFSETS = [0, 1, 2, 3, 4, 2, 3, 4, 2, 3]


@pytest.fixture
def inferencer(dff_cfg, checkpoint):
    return VideoInferencer(dff_cfg, checkpoint)


def open_stream(inferencer, lag=LAG):
    return inferencer.open_stream('door', key_in_background=True, lag=lag)


def workers():
    return [t for t in threading.enumerate() if t.name.startswith('dff-key')]


def pair_result(inferencer, images, index, offset):
    """Predict a frame from the key frame `offset` before it, as a test pair."""
    model, items = inferencer.model, []
    for image in (images[index], images[index - offset]):
        data = inferencer.pipeline(dict(img=image.copy(), img_id=0))
        items.append(model.data_preprocessor(pseudo_collate([data]), False))
    (sample,) = items[0]['data_samples']
    sample.set_metainfo(dict(video_id=0, frame_id=index, offset=offset))
    pair = dict(cur=items[0]['inputs'][0], key=items[1]['inputs'][0])
    with torch.no_grad():
        return model.predict_frame(pair, sample, StreamState())


def test_frames_are_propagated_from_the_old_key_until_the_lag_is_over(inferencer):
    """Key frames 0, 3, 6: 3 takes over at 5, 6 at 8; each frame equals its pair."""
    images = video(len(OFFSETS))
    with open_stream(inferencer) as stream:
        found = [stream(image) for image in images]
    assert [sample.offset for sample in found] == OFFSETS
    assert [s.is_key_frame for s in found] == [True] + [False] * (len(OFFSETS) - 1)
    for index, (sample, offset) in enumerate(zip(found, OFFSETS, strict=True)):
        assert same(sample, pair_result(inferencer, images, index, offset))


def test_results_do_not_depend_on_the_speed_of_the_worker(inferencer):
    images = video(len(OFFSETS))
    with open_stream(inferencer) as stream:
        wanted = [stream(image) for image in images]

    def slow(*_):
        if threading.current_thread() in workers():
            time.sleep(0.1)

    inferencer.model.detector.backbone.register_forward_pre_hook(slow)
    with open_stream(inferencer) as stream:
        for image, other in zip(images, wanted, strict=True):
            assert same(stream(image), other)


def test_key_frames_run_in_the_worker_and_others_in_the_caller(inferencer):
    where = []
    inferencer.model.detector.backbone.register_forward_hook(
        lambda *_: where.append(threading.current_thread() in workers())
    )
    with open_stream(inferencer) as stream:
        for image in video(9):
            stream(image)
    assert where == [False, True, True]


def test_nothing_runs_after_the_stream_is_closed(inferencer):
    done = []

    def slow(*_):
        if threading.current_thread() in workers():
            time.sleep(0.1)
            done.append(1)

    inferencer.model.detector.backbone.register_forward_pre_hook(slow)
    stream = open_stream(inferencer)
    for image in video(4):
        stream(image)
    assert len(workers()) == 1
    stream.close()
    assert workers() == [] and done in ([], [1])  # not begun, or waited for


def test_an_error_in_the_background_reaches_the_next_call(inferencer):
    def fail(*_):
        if threading.current_thread() in workers():
            raise RuntimeError('out of luck')

    handle = inferencer.model.detector.backbone.register_forward_pre_hook(fail)
    images = video(10)
    with open_stream(inferencer) as stream:
        offsets = [stream(image).offset for image in images[:4]]
        while not stream._background._pending.feats.done():
            time.sleep(0.01)
        with pytest.raises(RuntimeError, match='out of luck'):
            stream(images[4])
        handle.remove()
        # the key frame is tried again, later
        offsets += [stream(image).offset for image in images[4:]]
    assert offsets == [0, 1, 2, 3, 4, 5, 2, 3, 4, 2]


def test_a_break_drops_the_key_frame_that_is_computed(inferencer):
    images = video(10)
    with open_stream(inferencer) as stream:
        for image in images[:4]:
            stream(image)  # 3 is a key frame that is not used yet
        stream.reset()
        found = [stream(image).offset for image in images[4:8]]
        assert found == [0, 1, 2, 3]
        assert stream(images[8], frame_id=20).is_key_frame


def test_steps_with_streams_of_both_kinds(inferencer):
    images = video(7)
    streams = [open_stream(inferencer), inferencer.open_stream()]
    offsets = [
        [found.offset for found in step.values()]
        for step in (
            inferencer.step(dict.fromkeys(streams, image), spread_keys=False)
            for image in images
        )
    ]
    assert [pair[0] for pair in offsets] == OFFSETS[:7]
    assert [pair[1] for pair in offsets] == [0, 1, 2, 0, 1, 2, 0]
    streams[0].close()


@pytest.mark.parametrize(
    'lag, error, match',
    [
        (0, ValueError, 'lag must be at least 1, got 0'),
        (1.5, TypeError, 'lag must be an integer, got 1.5'),
        (3, ValueError, 'lag must be less than the key frame interval 3, got 3'),
    ],
)
def test_lags_that_are_none(inferencer, lag, error, match):
    with pytest.raises(error, match=match):
        open_stream(inferencer, lag=lag)


def test_image_models_have_nothing_to_compute_in_the_background(frame_cfg):
    with pytest.raises(ValueError, match='needs a video model.*got RetinaNet'):
        open_stream(VideoInferencer(frame_cfg))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_on_a_gpu(dff_cfg, checkpoint):
    inferencer = VideoInferencer(dff_cfg, checkpoint, device='cuda:0')
    test_frames_are_propagated_from_the_old_key_until_the_lag_is_over(inferencer)
