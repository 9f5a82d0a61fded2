"""`VideoInferencer.step`: frames of several streams as one batch."""

from pathlib import Path

import cv2
import pytest
import torch
from small_inferencers import video

from dff.apis import VideoInferencer


@pytest.fixture
def inferencer(dff_cfg, checkpoint):
    return VideoInferencer(dff_cfg, checkpoint)


def assert_close(found, wanted):
    assert (found.is_key_frame, found.offset) == (wanted.is_key_frame, wanted.offset)
    assert (found.frame_id, found.video_name) == (wanted.frame_id, wanted.video_name)
    for name, tolerance in (('bboxes', 1e-2), ('scores', 1e-4), ('labels', 0)):
        pair = (result.pred_instances[name] for result in (found, wanted))
        torch.testing.assert_close(*pair, rtol=0, atol=tolerance)


def encoded(inferencer):
    calls = []
    inferencer.model.detector.backbone.register_forward_hook(
        lambda _, args, __: calls.append(len(args[0]))
    )
    return calls


def test_a_step_is_its_streams_one_by_one(inferencer):
    frames = [video(5, seed=seed) for seed in range(3)]
    names = ['a', 'b', 'c']
    streams = [inferencer.open_stream(name) for name in names]
    wanted = [
        [stream(image) for image in images]
        for stream, images in zip(streams, frames, strict=True)
    ]
    calls = encoded(inferencer)
    streams = [inferencer.open_stream(name) for name in names]
    for index in range(5):
        images = {s: f[index] for s, f in zip(streams, frames, strict=True)}
        results = inferencer.step(images, spread_keys=False)
        assert list(results) == streams
        for found, other in zip(results.values(), wanted, strict=True):
            assert_close(found, other[index])
            assert found.inference_seconds > 0
    assert calls == [3, 3]  # frames 0 and 3


def test_key_frames_are_spread_over_time(inferencer):
    """l = 3: streams 0 to 3 have the key frames 3, 2, 1 and 3, then every third."""
    streams = [inferencer.open_stream() for _ in range(4)]
    images, calls = video(9), encoded(inferencer)
    keys = [[] for _ in streams]
    for index, image in enumerate(images):
        results = inferencer.step(dict.fromkeys(streams, image))
        for own, found in zip(keys, results.values(), strict=True):
            own += [index] if found.is_key_frame else []
    assert keys == [[0, 3, 6], [0, 2, 5, 8], [0, 1, 4, 7], [0, 3, 6]]
    assert calls == [4, 1, 1, 2, 1, 1, 2, 1, 1]


def test_streams_join_leave_and_skip(inferencer):
    images = video(8)
    a, b = inferencer.open_stream('a'), inferencer.open_stream('b')
    inferencer.step({a: images[0]})
    found = inferencer.step({a: images[3], b: images[0]}, frame_ids={a: 2})
    assert [found[s].offset for s in (a, b)] == [2, 0]
    a.close()
    assert not inferencer.step({b: images[1]})[b].is_key_frame
    assert inferencer.step({}) == {}
    with pytest.raises(ValueError, match="stream 'a' is closed"):
        inferencer.step({b: images[2], a: images[4]})
    assert b(images[2]).frame_id == 2  # it is free, and as it was


def test_streams_of_two_inferencers(inferencer, dff_cfg):
    streams = [i.open_stream() for i in (inferencer, VideoInferencer(dff_cfg))]
    with pytest.raises(ValueError, match='must be of one inferencer'):
        inferencer.step(dict.fromkeys(streams, video(1)[0]))


def test_sizes_may_differ_between_streams(inferencer):
    wide, tall = video(4), video(4, size=(100, 72))
    streams = [inferencer.open_stream() for _ in range(2)]
    wanted = [
        [stream(image) for image in images]
        for stream, images in zip(streams, (wide, tall), strict=True)
    ]
    streams = [inferencer.open_stream(s.name) for s in streams]
    for index in range(4):
        results = inferencer.step(
            {streams[0]: wide[index], streams[1]: tall[index]}, spread_keys=False
        )
        for found, other in zip(results.values(), wanted, strict=True):
            assert_close(found, other[index])


def test_image_models_step_one_by_one(frame_cfg, checkpoint):
    inferencer = VideoInferencer(frame_cfg, checkpoint)
    streams = [inferencer.open_stream(name) for name in 'ab']
    images = [video(1, seed=seed)[0] for seed in range(2)]
    results = inferencer.step(dict(zip(streams, images, strict=True)))
    for stream, image, found in zip(streams, images, results.values(), strict=True):
        assert_close(found, inferencer.open_stream(stream.name)(image))


def test_the_page_on_streams_runs(dff_cfg, checkpoint, tmp_path, monkeypatch, capsys):
    page = Path(__file__).resolve().parents[2] / 'docs/streams.md'
    code = page.read_text(encoding='utf-8').split('```python\n')[1].split('```')[0]
    dff_cfg.dump(tmp_path / 'CONFIG.py')
    checkpoint.rename(tmp_path / 'CHECKPOINT.pth')
    for n in range(4):
        kind = cv2.VideoWriter_fourcc(*'mp4v')
        writer = cv2.VideoWriter(str(tmp_path / f'street{n}.mp4'), kind, 5, (100, 72))
        for image in video(2 + n, seed=n):
            writer.write(image)
        writer.release()
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(page), 'exec'), {})
    lines = capsys.readouterr().out.splitlines()
    lines = [line for line in lines if line.startswith('street')]
    assert lines[:4] == [f'street{n} 0 True' for n in range(4)]
    assert len(lines) == 2 + 3 + 4 + 5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_a_step_on_a_gpu_is_its_streams_one_by_one(dff_cfg, checkpoint):
    inferencer = VideoInferencer(dff_cfg, checkpoint, device='cuda:0')
    test_a_step_is_its_streams_one_by_one(inferencer)
