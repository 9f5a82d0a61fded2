import copy

import numpy as np
import pytest
import torch
from classical_pairs import moved_pair, textured, to_input
from mmengine.registry import MODELS
from torch.testing import assert_close

from dff.models.flow import ClassicalFlow
from dff.models.flow.classical import PRESETS

every_method = pytest.mark.parametrize(
    ('method', 'preset'), [(m, preset) for m in PRESETS for preset in PRESETS[m]]
)


@every_method
@pytest.mark.parametrize('working_scale', [0.5, 1.0])
def test_flow_lives_on_cur_and_points_into_key(method, preset, working_scale):
    net = ClassicalFlow(
        preset, method=method, working_scale=working_scale, strides=(16, 8)
    )
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


@every_method
def test_every_pair_of_a_batch_is_its_own(method, preset):
    moves = [(4, 0), (0, 8), (0, 0)]
    pairs = [moved_pair(96, 128, dx, dy) for dx, dy in moves]
    cur, key = (torch.cat(frames) for frames in zip(*pairs, strict=True))
    net = ClassicalFlow(preset, method=method)
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


@pytest.mark.parametrize('method', list(PRESETS))
@pytest.mark.parametrize('size', [(1, 1), (16, 300), (33, 40)])
def test_small_frames(method, size):
    net = ClassicalFlow(method=method)
    flow, _ = net(torch.zeros(1, 3, *size), torch.zeros(1, 3, *size))
    assert flow.shape == (1, 2, -(-size[0] // 16), -(-size[1] // 16))
    assert_close(flow, torch.zeros_like(flow))


def test_empty_batch():
    flow, _ = ClassicalFlow()(torch.zeros(0, 3, 60, 70), torch.zeros(0, 3, 60, 70))
    assert flow.shape == (0, 2, 4, 5)


def test_user_errors():
    with pytest.raises(ValueError, match="preset must be one of .*'dis', got 'slow'"):
        ClassicalFlow('slow')
    with pytest.raises(ValueError, match="'default'.* with method 'farneback'.*'fast'"):
        ClassicalFlow('fast', method='farneback')
    with pytest.raises(ValueError, match="method must be one of .*'sift'.* got 'tvl1'"):
        ClassicalFlow(method='tvl1')
    with pytest.raises(ValueError, match=r'working_scale must be in \[1/16, 1\].*0.01'):
        ClassicalFlow(working_scale=0.01)
    with pytest.raises(ValueError, match=r'\(1, 3, 8, 8\) and \(1, 3, 8, 9\)'):
        ClassicalFlow()(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))


def test_it_is_built_by_name():
    net = MODELS.build(dict(type='ClassicalFlow', preset='medium', strides=[4, 32]))
    assert net.preset == 'medium' and net.strides == (4, 32) and net.flow_stride == 8
    net = MODELS.build(dict(type='ClassicalFlow', method='sift'))
    assert net.preset == 'fast'


@pytest.fixture
def cached(tmp_path):
    """A network with a cache, and the list of pairs that it had to estimate."""
    net = ClassicalFlow(cache_dir=tmp_path / 'flow')
    estimated, estimate = [], net._estimate

    def counted(cur, key, cells):
        estimated.append(cells)
        return estimate(cur, key, cells)

    net._estimate = counted
    return net, estimated


def test_a_cached_flow_is_the_fresh_one(cached):
    net, estimated = cached
    pairs = [moved_pair(dx=4), moved_pair(dx=-4)]
    fresh = [ClassicalFlow()(*pair)[0] for pair in pairs]
    for _ in range(2):
        assert all(map(torch.equal, fresh, (net(*pair)[0] for pair in pairs)))
    assert len(estimated) == 2 and len(list(net.cache.folder.iterdir())) == 2
    net(*pairs[0][::-1])  # the way back is another flow
    assert len(estimated) == 3


def test_other_settings_do_not_share_a_cached_flow(tmp_path):
    pair = moved_pair()
    settings = [
        dict(),
        dict(preset='fast'),
        dict(working_scale=0.5),
        dict(strides=(8,)),
        dict(method='farneback'),
    ]
    for changed in settings:
        fresh, _ = ClassicalFlow(**changed)(*pair)
        assert torch.equal(
            ClassicalFlow(**changed, cache_dir=tmp_path)(*pair)[0], fresh
        )
    assert len(list(tmp_path.iterdir())) == len(settings)


@pytest.mark.parametrize('kept', [0, 40, 200])
def test_a_damaged_cache_file_is_made_again(cached, kept):
    net, estimated = cached
    pair = moved_pair()
    fresh, _ = net(*pair)
    (file,) = net.cache.folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:kept])
    assert torch.equal(net(*pair)[0], fresh)
    assert len(estimated) == 2 and file.read_bytes() == whole
    assert [path.name for path in net.cache.folder.iterdir()] == [file.name]
