"""Frames of several videos as one batch: close to single frames, and fewer calls."""

import pytest
import torch
from split_models import SIZE, TASKS, paper_model, result_of, sample, wrap
from video_detectors import build as build_stock
from video_detectors import stream_batch
from wrapped_models import frame


def batch_of(model, task, frames, *, size=SIZE):
    data = dict(
        inputs=[frame(100 * video + index, size=size) for video, index in frames],
        data_samples=[sample(task, video_id=v, frame_id=i) for v, i in frames],
    )
    return model.data_preprocessor(data, False)


@torch.no_grad()
def run(model, task, frames, *, batched):
    return model.predict(**batch_of(model, task, frames), batched=batched)


def assert_close(task, found, wanted):
    assert (found.is_key_frame, found.offset) == (wanted.is_key_frame, wanted.offset)
    tensors = zip(result_of(task, found), result_of(task, wanted), strict=True)
    for n, (a, b) in enumerate(tensors):
        tolerance = 1e-2 if task == 'detector' and n == 0 else 1e-4  # boxes, pixels
        tolerance *= (
            max(1, float(b.abs().max())) if task == 'segmentor' else 1
        )  # logits
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def counted(module):
    calls = []
    module.register_forward_hook(
        lambda _, args, __: calls.append(len(getattr(args[0], 'maps', {0: args[0]})[0]))
    )
    return calls


FRAMES = [
    [(0, 0), (1, 0), (2, 0)],  # three key frames
    [(0, 1), (1, 1), (2, 1), (3, 0)],  # one that joins
    [(2, 2), (0, 2), (3, 1), (1, 9), (2, 3)],  # one after a gap, and a second of 2
]


@pytest.mark.parametrize('task', TASKS)
def test_a_batch_is_its_frames_one_by_one(task):
    model = wrap(task, paper_model(task), split=1)
    wanted = [run(model, task, frames, batched=False) for frames in FRAMES]
    model.reset_stream()
    encoded, moved = counted(model.image_model.backbone), counted(model.propagation)
    for frames, others in zip(FRAMES, wanted, strict=True):
        for found, other in zip(
            run(model, task, frames, batched=True), others, strict=True
        ):
            assert_close(task, found, other)
    assert encoded == [3, 1, 1, 1]  # video 2 has its next key frame at 3
    assert len(moved) == 2


@pytest.mark.parametrize('task', TASKS)
def test_a_batch_of_one_is_exact(task):
    model = wrap(task, paper_model(task), split=1)
    wanted = [run(model, task, [(0, i)], batched=False)[0] for i in range(4)]
    model.reset_stream()
    for index, other in enumerate(wanted):
        (found,) = run(model, task, [(0, index)], batched=True)
        for a, b in zip(result_of(task, found), result_of(task, other), strict=True):
            assert torch.equal(a, b)


def test_features_of_every_level_with_flow_and_scale(monkeypatch):
    """What N_task of a stock detector gets; its own scores tie with random weights."""
    model = build_stock('retinanet', interval=2).eval()
    seen, tail = [], type(model.seam).tail

    def record(self, feats):
        seen.append(feats.maps)
        return tail(self, feats)

    def run_all(batched):
        model.reset_stream()
        seen.clear()
        for index in range(3):
            batch = stream_batch(*((9 * v + index, v, index) for v in range(3)))
            with torch.no_grad():
                data = model.data_preprocessor(batch, False)
                results = model.predict(**data, batched=batched)
            assert [r.offset for r in results] == [index % 2] * 3
        return [
            torch.cat([maps[level].flatten() for maps in seen]) for level in range(5)
        ]

    monkeypatch.setattr(type(model.seam), 'tail', record)
    alone = run_all(False)
    for found, wanted in zip(run_all(True), alone, strict=True):
        scale = float(wanted.abs().max())
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5 * scale)
    assert len(seen) == 3


def test_frames_of_several_sizes_are_several_batches():
    task = 'segmentor'
    model = wrap(task, paper_model(task), split=1)
    small = (64, 96)

    def batch(index):
        parts = [
            batch_of(model, task, [(0, index), (1, index)]),
            batch_of(model, task, [(2, index)], size=small),
        ]
        for data in parts[1]['data_samples']:
            data.set_metainfo(dict(img_shape=small, ori_shape=small, pad_shape=small))
        return {name: parts[0][name] + parts[1][name] for name in parts[0]}

    def both(batched):
        model.reset_stream()
        with torch.no_grad():
            return [model.predict(**batch(i), batched=batched) for i in range(2)]

    encoded = counted(model.image_model.backbone)
    wanted = both(False)
    encoded.clear()
    for found, others in zip(both(True), wanted, strict=True):
        for one, other in zip(found, others, strict=True):
            assert_close(task, one, other)
    assert encoded == [2, 1]


def test_windows_of_a_segmentor_that_slides():
    from segmentors_under_test import build
    from segmentors_under_test import stream_batch as make

    model = build('segformer', interval=2).eval()
    frames = [[(0, 'a', 0), (5, 'b', 0)], [(1, 'a', 1), (6, 'b', 1)]]
    with torch.no_grad():
        wanted = [model.test_step(make(*batch)) for batch in frames]
        model.reset_stream()
        for batch, others in zip(frames, wanted, strict=True):
            data = model.data_preprocessor(make(*batch), False)
            found = model.predict(**data, batched=True)
            for one, other in zip(found, others, strict=True):
                torch.testing.assert_close(
                    one.seg_logits.data, other.seg_logits.data, rtol=0, atol=1e-4
                )
