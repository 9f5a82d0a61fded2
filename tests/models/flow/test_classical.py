import copy

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from torch.testing import assert_close

from dff.models.flow import ClassicalFlow

MEAN = torch.tensor([123.15, 115.90, 103.06]).view(3, 1, 1)


def textured(height, width, seed=0):
    """Smooth random colour image, uint8 (H, W, 3)."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    low, high = smooth.min(), smooth.max()
    return ((smooth - low) / (high - low) * 255).astype(np.uint8)


def to_input(image):
    return torch.from_numpy(image).permute(2, 0, 1).float() - MEAN


def moved_pair(height=160, width=224, dx=6, dy=-10):
    """cur(x, y) = key(x + dx, y + dy): the flow from cur into key is (dx, dy)."""
    canvas = textured(height + 64, width + 64)
    cur = canvas[32 : 32 + height, 32 : 32 + width]
    key = canvas[32 - dy : 32 - dy + height, 32 - dx : 32 - dx + width]
    return to_input(cur)[None], to_input(key)[None]


@pytest.mark.parametrize('preset', ['ultrafast', 'fast', 'medium'])
@pytest.mark.parametrize('working_scale', [0.5, 1.0])
def test_flow_lives_on_cur_and_points_into_key(preset, working_scale):
    net = ClassicalFlow(preset, working_scale=working_scale, strides=(16, 8))
    flow, scale = net(*moved_pair())
    assert scale is None and net.flow_stride == 8
    assert flow.shape == (1, 2, 20, 28)
    inner = flow[0, :, 3:-3, 3:-3]
    assert_close(inner[0].median(), torch.tensor(6 / 8), rtol=0, atol=0.1)
    assert_close(inner[1].median(), torch.tensor(-10 / 8), rtol=0, atol=0.1)
    assert (inner[0] - 6 / 8).abs().mean() < 0.1
    assert (inner[1] + 10 / 8).abs().mean() < 0.1


def test_values_do_not_depend_on_how_the_size_is_rounded():
    cur, key = moved_pair(height=163, width=229)
    flow, _ = ClassicalFlow(working_scale=0.7)(cur, key)
    assert flow.shape == (1, 2, 11, 15)
    inner = flow[0, :, 2:-2, 2:-2]
    assert_close(inner[0].median(), torch.tensor(6 / 16), rtol=0, atol=0.03)
    assert_close(inner[1].median(), torch.tensor(-10 / 16), rtol=0, atol=0.03)


def test_it_sees_the_original_bytes():
    images = np.stack([textured(40, 50, seed) for seed in range(2)])
    images[0, 0, :4] = [[0, 0, 0], [255, 255, 255], [255, 0, 1], [1, 254, 0]]
    batch = torch.stack([to_input(image) for image in images])
    assert (ClassicalFlow()._to_uint8(batch) == images).all()
    normalised = (batch / 57.3).half().float() * 57.3  # a lossy way back
    assert (ClassicalFlow()._to_uint8(normalised) == images).all()


def test_every_pair_of_a_batch_is_its_own():
    pairs = [moved_pair(dx=4, dy=0), moved_pair(dx=0, dy=8), moved_pair(dx=0, dy=0)]
    cur, key = (torch.cat(frames) for frames in zip(*pairs, strict=True))
    net = ClassicalFlow()
    flow, _ = net(cur, key)
    for one, (cur, key) in zip(flow, pairs, strict=True):
        assert torch.equal(one[None], net(cur, key)[0])
    assert flow[2].abs().max() < 1e-3


def test_in_training_it_takes_no_gradient_and_has_nothing_to_save():
    net = ClassicalFlow().train()
    cur, key = moved_pair()
    flow, _ = net(cur.requires_grad_(), key)
    assert not flow.requires_grad and flow.dtype == torch.float32
    assert not list(net.parameters()) and not net.state_dict()
    twin = copy.deepcopy(net)
    assert torch.equal(twin(cur, key)[0], flow)


@pytest.mark.parametrize('size', [(1, 1), (16, 300), (33, 40)])
def test_small_frames(size):
    flow, _ = ClassicalFlow()(torch.zeros(1, 3, *size), torch.zeros(1, 3, *size))
    assert flow.shape == (1, 2, -(-size[0] // 16), -(-size[1] // 16))
    assert_close(flow, torch.zeros_like(flow))


def test_empty_batch():
    flow, _ = ClassicalFlow()(torch.zeros(0, 3, 60, 70), torch.zeros(0, 3, 60, 70))
    assert flow.shape == (0, 2, 4, 5)


def test_user_errors():
    with pytest.raises(ValueError, match="preset must be one of .* got 'slow'"):
        ClassicalFlow('slow')
    with pytest.raises(ValueError, match=r'working_scale must be in \[1/16, 1\].*0.01'):
        ClassicalFlow(working_scale=0.01)
    with pytest.raises(ValueError, match=r'\(1, 3, 8, 8\) and \(1, 3, 8, 9\)'):
        ClassicalFlow()(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))


def test_it_is_built_by_name():
    net = MODELS.build(dict(type='ClassicalFlow', preset='medium', strides=[4, 32]))
    assert net.preset == 'medium' and net.strides == (4, 32) and net.flow_stride == 8
