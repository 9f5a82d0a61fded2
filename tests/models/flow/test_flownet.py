import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from torch.nn import functional as F
from torch.testing import assert_close

from dff.models.flow import FlowNetS

ROOT = Path(__file__).parents[3]
PARITY = Path(os.environ.get('DFF_DATA', ROOT.parent / 'shared/data')).parent / 'parity'


def frames(n=2, height=122, width=165, seed=0):
    rng = torch.Generator().manual_seed(seed)
    cur, key = torch.rand(2, n, 3, height, width, generator=rng) * 255 - 115
    return cur, key


def small(**kwargs):
    """A network whose every weight, scale branch included, does something."""
    torch.manual_seed(3)
    net = FlowNetS(0.125, **{'scale_channels': 6, **kwargs})
    for conv in net.predict_scale:
        torch.nn.init.normal_(conv.weight, std=0.1)
    return net.eval()


@pytest.fixture(scope='module')
def parity():
    """Spec, weights and outputs of the authors' own network."""
    if not (PARITY / 'authors_weights.py').is_file():
        pytest.skip(f"the authors' oracle is not at {PARITY} (see DFF_DATA)")
    sys.path.insert(0, str(PARITY))
    try:
        from authors_weights import weight
    finally:
        sys.path.pop(0)
    spec = json.loads((PARITY / 'spec.json').read_text())['arg']
    return spec, weight, np.load(PARITY / 'parity_122x165.npz')


def released_name(name):
    """Name of a parameter of FlowNetS in the release."""
    module, leaf = name.rsplit('.', 1)
    if module.startswith('predict_flow'):
        module = f'Convolution{7 - int(module[-1])}'
    renamed = {'conv1': 'flow_conv1', 'predict_scale.0': 'Convolution5_scale'}
    return f'{renamed.get(module, module)}_{leaf}'


def test_it_gives_the_numbers_of_the_authors_network(parity):
    spec, weight, oracle = parity
    net = FlowNetS().eval()
    state = {}
    for name, tensor in net.state_dict().items():
        released = released_name(name)
        assert list(tensor.shape) == spec[released], name
        array = weight(released, tuple(spec[released])).astype(np.float32)
        state[name] = torch.from_numpy(array)
    net.load_state_dict(state)
    cur, key = (torch.from_numpy(oracle[f'data_{name}']) for name in ('cur', 'key'))
    with torch.no_grad():
        flow, scale = net(cur, key)
    for ours, theirs in ((flow, oracle['flow']), (scale, oracle['scale'])):
        theirs = torch.from_numpy(theirs)
        assert_close(ours, theirs, rtol=0, atol=1e-4 * theirs.abs().max().item())


@pytest.mark.parametrize(('width', 'millions'), [(1.0, 38.88), (0.5, 9.80)])
def test_parameter_count(width, millions):
    count = sum(p.numel() for p in FlowNetS(width).parameters())
    assert round(count / 1e6, 2) == millions


def test_half_has_half_of_every_channel_count():
    """Paper Tab. 7, and what it leaves out: flow has 2 channels at any width."""
    full, half = FlowNetS(), FlowNetS(0.5)
    for (name, conv), (_, thin) in zip(
        full.named_children(), half.named_children(), strict=True
    ):
        if name.startswith(('conv', 'deconv')):
            assert conv.out_channels == 2 * thin.out_channels, name
        elif name != 'predict_scale':
            assert conv.out_channels == thin.out_channels == 2, name
    assert half.predict_scale[0].out_channels == 1024


def test_scale_starts_at_one_and_flow_small():
    torch.manual_seed(0)
    flow, scale = FlowNetS(0.5, scale_channels=5)(*frames())
    assert (scale == 1).all()
    assert 0 < flow.abs().max() < 3


def test_init_weights_keeps_the_initialisation():
    net = FlowNetS(0.25)
    before = {name: p.clone() for name, p in net.named_parameters()}
    net.init_weights()
    for name, p in net.named_parameters():
        assert torch.equal(p, before[name]), name


def test_upsamplers_start_bilinear():
    net = FlowNetS(0.125)
    flow = torch.randn(1, 2, 5, 7)
    up = net.upsample_flow6to5(flow, torch.zeros(1, 1, 10, 14))
    bilinear = F.interpolate(flow, scale_factor=2, mode='bilinear')
    assert_close(up[..., 1:-1, 1:-1], bilinear[..., 1:-1, 1:-1])


def test_signal_neither_dies_nor_explodes():
    torch.manual_seed(1)
    net = FlowNetS(0.5)
    seen = {}
    for name, module in net.named_children():
        module.register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out.std().item()})
        )
    net(*frames())
    for name in ('conv1', 'conv3', 'conv6_1', 'deconv5', 'deconv2'):
        assert 0.02 < seen[name] < 2, (name, seen)


def test_strides_keep_their_order_and_share_one_flow():
    strides, channels = (32, 8, 4, 128), (3, 5, 2, 4)
    net = small(strides=strides, scale_channels=channels)
    flow, scales = net(*frames())
    assert net.flow_stride == 8 and flow.shape == (2, 2, 16, 21)
    sizes = {8: (16, 21), 32: (4, 6), 128: (1, 2)}  # ceil(122 / s), ceil(165 / s)
    for scale, stride, c in zip(scales, strides, channels, strict=True):
        assert scale.shape == (2, c, *sizes[max(8, stride)])


def test_one_image_has_one_flow_whatever_stride_it_is_asked_at():
    """The unit: 5 x the prediction at stride 8, 2.5 x at 16, 1.25 x at 32."""
    nets = {s: small(strides=(s,)) for s in (8, 16, 32)}
    for net in nets.values():
        net.load_state_dict(nets[8].state_dict())
        torch.nn.init.zeros_(net.predict_flow2.weight)
        net.predict_flow2.bias.data = torch.tensor([0.4, -0.2])
    for stride, net in nets.items():
        flow, _ = net(*frames())
        assert_close(flow[:, 0], torch.full_like(flow[:, 0], 0.4 * 40 / stride))
        assert_close(flow[:, 1], torch.full_like(flow[:, 1], -0.2 * 40 / stride))


def test_scale_at_a_coarse_level_is_the_pooled_scale_of_a_fine_one():
    """Pooling and a 1x1 convolution commute."""
    fine, coarse = small(strides=(8,)), small(strides=(32,))
    coarse.load_state_dict(fine.state_dict())
    _, scale = fine(*frames())
    for _ in range(2):
        scale = F.avg_pool2d(scale, 2, ceil_mode=True)
    assert_close(coarse(*frames())[1], scale)


def test_bilinear_downsizing_of_the_paper():
    fine = small(strides=(8,))
    coarse = small(strides=(16,), downsample='bilinear')
    coarse.load_state_dict(fine.state_dict())
    flow, scale = fine(*frames())
    flow16, scale16 = coarse(*frames())
    assert_close(
        flow16, F.interpolate(flow, flow16.shape[-2:], mode='bilinear') * (8 / 16)
    )
    assert_close(scale16, F.interpolate(scale, flow16.shape[-2:], mode='bilinear'))


def test_multi_scale_flows_are_finest_first_and_of_one_unit():
    net = small(strides=(8,), scale_channels=None)
    flows = net.forward_multi_scale(*frames())
    sizes = [tuple(flow.shape[-2:]) for flow in flows]
    assert sizes == [(16, 21), (8, 11), (4, 6), (2, 3), (1, 2)]
    flow, scale = net(*frames())
    assert scale is None
    assert_close(flow, flows[0] * (40 / 8))


def test_every_parameter_gets_a_gradient():
    net = small(strides=(8, 16), scale_channels=3)
    flow, scales = net(*frames(1))
    (flow.square().mean() + sum(s.square().mean() for s in scales)).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


def test_cur_comes_first():
    net = small(scale_channels=None)
    cur, key = frames()
    seen = {}
    net.conv1.register_forward_pre_hook(lambda _, args: seen.update(x=args[0]))
    net(cur, key)
    expected = F.avg_pool2d(torch.cat([cur, key], 1) / 255, 2, ceil_mode=True)
    assert_close(seen['x'], expected)


def test_flow_is_predicted_in_float32_under_autocast():
    net = small()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        flow, _ = net(*frames())
    assert flow.dtype == torch.float32
    assert_close(flow, net(*frames())[0], rtol=0.05, atol=0.05)


@pytest.mark.parametrize('size', [(8, 8), (64, 96), (65, 127), (1, 1)])
def test_any_size_and_an_empty_batch(size):
    net = small()
    for n in (0, 1):
        flow, scale = net(*frames(n, *size))
        assert flow.shape[0] == n and flow.shape[-2:] == scale.shape[-2:]
        assert flow.shape[-2:] == (-(-size[0] // 16), -(-size[1] // 16))


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(width=0), r'width must be in \(0, 1\], got 0'),
        (dict(width=1.5), r'width must be in \(0, 1\], got 1.5'),
        (dict(downsample='area'), "downsample must be .* got 'area'"),
        (dict(strides=(16, 32), scale_channels=[8]), 'one per level .2 strides., got'),
        (dict(scale_channels=0), 'scale_channels must be positive, got 0'),
        (dict(strides=(16, 24)), 'powers of two'),
    ],
)
def test_bad_options(kwargs, match):
    with pytest.raises(ValueError, match=match):
        FlowNetS(**{'width': 0.125, **kwargs})


def test_frames_that_do_not_match():
    cur, key = frames()
    with pytest.raises(ValueError, match=r'\(2, 3, 122, 165\) and \(2, 3, 122, 164\)'):
        small()(cur, key[..., :-1])


def test_it_is_built_by_name():
    cfg = dict(type='FlowNetS', width=0.25, strides=[8, 16], scale_channels=[4, 7])
    net = MODELS.build(cfg)
    assert [conv.out_channels for conv in net.predict_scale] == [4, 7]


@pytest.mark.parametrize('size', [(70, 90), (128, 192), (600, 1000)])
def test_tiny_maps_are_convolved_as_stock_layers_do(size):
    """Layers with few positions are products of matrices: same values, gradients."""
    torch.manual_seed(0)
    net = FlowNetS(width=0.125, scale_channels=4)
    layers = {'conv6_1': net.conv6_1, 'deconv5': net.deconv5}
    height, width = (-(-side // 128) for side in size)
    for name, layer in layers.items():
        torch.nn.init.normal_(layer.bias)
        x = torch.rand(1, layer.in_channels, height, width, requires_grad=True)
        if name == 'conv6_1':
            wanted = F.conv2d(x, layer.weight, layer.bias, padding=1)
            got = layer(x)
        else:
            skip = torch.zeros(1, 1, 2 * height - 1, 2 * width)
            wanted = F.conv_transpose2d(x, layer.weight, layer.bias, stride=2)
            wanted = wanted[..., 1 : 2 * height, 1 : 2 * width + 1]
            got = layer(x, skip)
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)
        seed = torch.rand_like(wanted)
        parts = (x, layer.weight, layer.bias)
        for a, b in zip(
            torch.autograd.grad(got, parts, seed),
            torch.autograd.grad(wanted, parts, seed),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
