"""Cuts start a new key frame; motion, flashes and pairs do not."""

import copy

import pytest
import torch
from mmengine.registry import MODELS
from split_models import SIZE, TASKS, paper_model, predict_pair, result_of, sample
from split_models import wrap as wrap_at
from torch.nn.functional import avg_pool2d, interpolate

from dff.models import CutDetector
from dff.models.low_resolution import change_between, shrink_to, warp_picture

HEIGHT, WIDTH = SIZE
DIS = dict(type='ClassicalFlow', strides=(16,))


def scene(seed):
    """A smooth random picture (3, 2 H, 2 W) in 0..255."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 24, 32, generator=generator) * 200 + 20
    size = (2 * HEIGHT, 2 * WIDTH)
    return interpolate(coarse, size, mode='bicubic')[0].clamp(0, 255)


def shot(seed, count, *, step=(1, 2)):
    """`count` frames (3, H, W) uint8 of a camera that moves by `step` (y, x)."""
    whole = scene(seed)
    return [
        whole[:, step[0] * i :, step[1] * i :][:, :HEIGHT, :WIDTH].to(torch.uint8)
        for i in range(count)
    ]


def wrap(task, *, interval=100, cuts=None, **options):
    model = wrap_at(task, paper_model(task), interval=interval, split=1, **options)
    model.cut_detector = CutDetector(**(cuts or {}))
    return model


def run(model, task, images, *, first=0, video=0):
    with torch.no_grad():
        return [
            model.test_step(
                dict(
                    inputs=[image],
                    data_samples=[sample(task, video_id=video, frame_id=index)],
                )
            )[0]
            for index, image in enumerate(images, first)
        ]


def keys(results):
    return [i for i, result in enumerate(results) if result.is_key_frame]


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('phase', [1, 2, 3])
def test_after_a_cut_all_is_as_in_a_stream_that_starts_there(task, phase):
    model = wrap(task, interval=4, estimator=DIS)
    images = shot(0, phase) + shot(1, 6)
    joined = run(model, task, images)[phase:]
    assert joined[0].is_key_frame
    alone = run(model, task, images[phase:], video=1)
    assert keys(alone) == [0, 4]
    for one, other in zip(joined, alone, strict=True):
        assert one.offset == other.offset
        for a, b in zip(result_of(task, one), result_of(task, other), strict=True):
            assert torch.equal(a, b)


def test_motion_and_a_flash_are_no_cuts():
    task = 'segmentor'
    model = wrap(task, estimator=DIS)
    images = shot(0, 12, step=(3, 4))
    images[5] = (images[5].float() * 0.7 + 70).to(torch.uint8)  # brighter, and back
    assert keys(run(model, task, images)) == [0]
    images[5] = shot(1, 1)[0]  # one frame of another scene: there, and back
    assert keys(run(model, task, images, video=1)) == [0, 5, 6]


def test_every_frame_is_compared_with_the_one_before_it():
    """Also across key frames of the scheduler, gaps and other videos in between."""
    task = 'segmentor'
    model = wrap(task, interval=3, estimator=DIS)
    one, other = shot(0, 8), shot(1, 8)
    assert keys(run(model, task, one[:4])) == [0, 3]
    assert keys(run(model, task, other[:2], video=1)) == [0]
    assert keys(run(model, task, one[5:6], first=5)) == []  # 4 is missing
    assert keys(run(model, task, other[2:3], first=2, video=1)) == []
    assert keys(run(model, task, other[7:8], first=7)) == [0]


def test_what_comes_slowly_is_a_key_frame_once_its_key_does_not_explain_it():
    task = 'segmentor'
    still, other = scene(0)[:, :HEIGHT, :WIDTH], scene(1)[:, :HEIGHT, :WIDTH]
    images = [(still + (other - still) * i / 20).to(torch.uint8) for i in range(21)]
    pictures = [shrink_to(avg_pool2d(i[None].float(), 4), 20) for i in images]
    changes = [change_between(pictures[0], picture) for picture in pictures]
    wanted = next(i for i, change in enumerate(changes) if change >= 0.1)
    assert wanted > 5
    cuts = dict(key_threshold=0.1)
    found = keys(run(wrap(task, flow=(0.0, 0.0), cuts=cuts), task, images))
    assert found[:2] == [0, wanted]
    cuts = dict(key_threshold=None)
    assert keys(run(wrap(task, flow=(0.0, 0.0), cuts=cuts), task, images)) == [0]


def test_it_costs_no_second_flow_and_key_frames_none():
    task = 'segmentor'
    model = wrap(task, interval=3, flow=(-2.0, -1.0))
    images = shot(0, 6)
    assert keys(run(model, task, images)) == [0, 3]
    assert model.propagation.flow_estimator.calls == 4
    run(model, task, images[:1] + shot(1, 1), video=1)  # a cut: no flow
    assert model.propagation.flow_estimator.calls == 4


def test_pairs_are_not_asked_about():
    task = 'segmentor'
    model = wrap(task, flow=(4.0, 0.0))
    key, cur = shot(0, 1)[0], shot(1, 1)[0]
    found = predict_pair(model, task, key, cur)
    model.cut_detector = None
    for a, b in zip(found, predict_pair(model, task, key, cur), strict=True):
        assert torch.equal(a, b)
    assert not model.stream.is_empty and model.stream.offset == 2


def test_change_is_the_share_of_contrast_without_a_counterpart():
    flat = torch.full((1, 3, 8, 8), 100.0)
    assert change_between(flat, flat + 50) == 0  # exposure
    steps = torch.arange(8.0).repeat(8, 1) * 10  # (8, 8), contrast about 23
    ramp = steps.expand(1, 3, 8, 8)
    moved = torch.roll(ramp, 1, dims=3).clone()
    moved[..., 0] = 0
    assert change_between(ramp, moved) < 0.02  # motion of a cell
    spot = ramp.clone()
    spot[:, :, 3, 3] = 200
    # by hand: the contrasts differ, so compare with a loop over cells
    assert change_between(ramp, spot) == pytest.approx(by_loops(ramp, spot), rel=1e-4)
    assert change_between(ramp, ramp.flip(3)) > 0.3


def by_loops(before, cur):
    before, cur = before[0].double(), cur[0].double()
    contrast = [p.var((1, 2), unbiased=False).mean().sqrt() for p in (before, cur)]
    gain = (contrast[0] + 4) / (contrast[1] + 4)
    means = [p.mean((1, 2), keepdim=True) for p in (before, cur)]
    cur = (cur - means[1]) * gain + means[0]
    total, (channels, height, width) = 0.0, before.shape
    for values, other in ((cur, before), (before, cur)):
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    near = other[
                        c, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2
                    ].flatten()
                    v = values[c, y, x]
                    total += float(max(v - near.max(), near.min() - v, 0.0))
    return total / before.numel() / float(contrast[0] + 4) / 2


def test_a_picture_is_warped_as_features_are_but_its_border_is_repeated():
    picture = torch.rand(1, 3, 5, 7)
    flow = torch.zeros(1, 2, 5, 7)
    assert torch.allclose(warp_picture(picture, flow), picture, atol=1e-6)
    flow[:, 0], flow[:, 1] = 2, -1
    rows = [max(0, y - 1) for y in range(5)]
    columns = [min(6, x + 2) for x in range(7)]
    wanted = picture[..., rows, :][..., columns]
    assert torch.allclose(warp_picture(picture, flow), wanted, atol=1e-5)
    smaller = warp_picture(picture, flow[..., :4, :6])  # of a network that rounds down
    assert torch.allclose(smaller, wanted, atol=1e-5)


class Onlooker:
    """A scheduler that stores what it sees, and never asks for a key frame."""

    def __init__(self):
        self.seen = []

    def is_key_frame(self, state, frame_id, frame):
        self.seen.append((frame.thumbnail, frame.residual, frame.unexplained))
        return False


@pytest.mark.parametrize('task', TASKS)
def test_residual_is_what_the_warped_key_leaves(task):
    model = wrap_at(task, paper_model(task), split=1, flow=(16.0, 0.0))
    model.key_frame_scheduler = watcher = Onlooker()
    key = torch.full((3, *SIZE), 100, dtype=torch.uint8)
    key[:, :, 64:] = torch.tensor([40, 60, 200], dtype=torch.uint8)[:, None, None]
    cur = torch.cat([key[:, :, 16:], key[:, :, -16:]], dim=2)  # as the flow says
    spoilt = cur.clone()
    spoilt[:, 32:64, 16:48] += 30  # eight by eight cells
    run(model, task, [key, cur, spoilt])
    (thumbnail, residual, share), (_, other, other_share) = watcher.seen
    # frames are BGR, thumbnails RGB
    wanted = avg_pool2d(cur[None].float(), 4).flip(1)
    assert torch.allclose(thumbnail, wanted, atol=1e-2)
    assert residual.shape == (1, 1, HEIGHT // 4, WIDTH // 4)
    assert float(residual.max()) < 1e-2 and share == 0
    wanted = torch.zeros_like(other)
    wanted[:, :, 8:16, 4:12] = 30
    assert torch.allclose(other, wanted, atol=1e-2)
    # red is off next to cells that are bluer, too
    assert other_share == pytest.approx(64 / 768)


def test_configs_and_bad_options():
    model = wrap('segmentor')
    built = MODELS.build(dict(type='CutDetector', threshold=0.2))
    assert (built.threshold, built.key_threshold) == (0.2, 0.35)
    assert 'threshold=0.2' in repr(built)
    assert copy.deepcopy(model).cut_detector.threshold == 0.12
    with pytest.raises(ValueError, match='threshold must be positive, got 0'):
        CutDetector(threshold=0)
    with pytest.raises(ValueError, match='key_threshold must be positive, got nan'):
        CutDetector(key_threshold=float('nan'))
    with pytest.raises(TypeError, match="threshold must be a number, got 'low'"):
        CutDetector(threshold='low')
    with pytest.raises(TypeError, match=r'cut_detector must have is_cut\(\)'):
        type(model)(
            segmentor=model.segmentor,
            propagation=model.propagation,
            cut_detector=object(),
        )
