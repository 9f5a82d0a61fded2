"""Public FlowNetS checkpoints give the same flow after conversion."""

import sys

import foreign_flownets as foreign
import pytest
import torch
from commands import ROOT, call, call_tool
from mmengine.registry import MODELS
from torch.nn import functional as F

from dff.converters.weights.flownet_sources import read_flownet
from dff.converters.weights.flownet_weights import adapt_weights
from dff.models.flow import FlowNetS
from dff.models.flow.field import FLOW_MEAN

WIDTH = 1 / 16
RGB, BGR = [0, 1, 2], [2, 1, 0]
MEAN = torch.tensor(FLOW_MEAN)


def frames(seed, size=(256, 384), count=2):
    """Give two smooth, different batches of RGB frames (N, 3, H, W), 0-255."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, count, 3, 5, 7, generator=generator) * 255
    return [F.interpolate(part, size, mode='bicubic').clamp(0, 255) for part in coarse]


def our_flow(state, cur, key, width=WIDTH):
    """Give the flow of our network in pixels of the full-size frames."""
    network = FlowNetS(width, strides=(8,), scale_channels=None).eval()
    network.load_state_dict(state)
    mean = MEAN.view(1, 3, 1, 1)
    with torch.no_grad():
        flow, _ = network(cur - mean, key - mean)
    return flow * 8


def source_flow(network, cur, key, *, order, means, divisor=20, border='zero'):
    """Give the flow of a source in pixels of the full-size frames.

    It gets the frames that our network sees behind its halving. With border 'ours',
    what it pads with is our mean colour in its terms instead of its own 0.
    """
    halves, borders = [], []
    for frame, mean in zip((cur, key), means, strict=True):
        half = F.avg_pool2d(frame, 2, ceil_mode=True)[:, order] / 255
        mean = torch.as_tensor(mean)[order]
        halves.append(half - mean.view(1, 3, 1, 1))
        borders.append(MEAN[order] / 255 - mean)
    border = torch.cat(borders) if border == 'ours' else None
    with torch.no_grad():
        return network(torch.cat(halves, 1), border) * divisor * 2


def converted(path, **options):
    state, width = adapt_weights(read_flownet(path, **options))
    assert width == WIDTH
    return state


def save(network, path, **extra):
    torch.save(dict(state_dict=network.state_dict(), **extra), path)
    return path


def assert_same_flow(ours, theirs):
    assert theirs.abs().mean() > 0.5  # pixels: it says something
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max())


@pytest.mark.parametrize('size', [(256, 384), (150, 202)])
@pytest.mark.parametrize('batch_norm', [False, True])
def test_flownet_pytorch(tmp_path, batch_norm, size):
    network = foreign.PyTorchSource(batch_norm=batch_norm).randomise(1)
    arch = 'flownets_bn' if batch_norm else 'flownets'
    path = save(network, tmp_path / 'f.pth.tar', arch=arch, best_EPE=1.9, epoch=3)
    cur, key = frames(2, size)
    means = [(0.45, 0.432, 0.411)] * 2
    theirs = source_flow(network, cur, key, order=RGB, means=means, border='ours')
    assert_same_flow(our_flow(converted(path), cur, key), theirs)
    swapped = our_flow(converted(path), key, cur)
    assert (swapped - theirs).abs().mean() > 0.1


def test_old_format_and_data_parallel_names(tmp_path):
    network = foreign.PyTorchSource().randomise(1)
    state = {f'module.{k}': v for k, v in network.state_dict().items()}
    path = tmp_path / 'old.pth.tar'
    content = dict(state_dict=state, arch='flownets')
    torch.save(content, path, _use_new_zipfile_serialization=False)
    expected = converted(save(network, tmp_path / 'new.pth', arch='flownets'))
    for name, array in converted(path).items():
        assert torch.equal(array, expected[name])


def test_flow_divisor_of_the_file(tmp_path):
    """The unit of all five predictions becomes ours; the features stay."""
    network = foreign.PyTorchSource(batch_norm=True).randomise(1)
    path = save(network, tmp_path / 'f.pth', arch='flownets_bn', div_flow=1)
    cur, key = frames(2)
    means = [(0.45, 0.432, 0.411)] * 2
    theirs = source_flow(
        network, cur, key, order=RGB, means=means, divisor=1, border='ours'
    )
    assert_same_flow(our_flow(converted(path), cur, key) * 20, theirs * 20)
    ours = FlowNetS(WIDTH, scale_channels=None).eval()
    ours.load_state_dict(converted(path))
    plain = FlowNetS(WIDTH, scale_channels=None).eval()
    plain.load_state_dict(converted(path, flow_divisor=20))
    mean = MEAN.view(1, 3, 1, 1)
    pairs = [n.forward_multi_scale(cur - mean, key - mean) for n in (ours, plain)]
    for flow, expected in zip(*pairs, strict=True):
        torch.testing.assert_close(flow * 20, expected, rtol=1e-3, atol=1e-4)


def test_flownet2_pytorch(tmp_path):
    """It subtracts each pair's own mean; equal where that is ours."""
    network = foreign.PyTorchSource(decoder_bias=True).randomise(3)
    path = save(network, tmp_path / 'FlowNet2-S_checkpoint.pth.tar', epoch=0)
    cur, key = frames(4, count=1)
    own = torch.cat([cur, key]).mean((0, 2, 3))
    shift = (MEAN - own).view(1, 3, 1, 1)
    cur, key = cur + shift, key + shift
    means = [torch.cat([cur, key]).mean((0, 2, 3)) / 255] * 2
    theirs = source_flow(network, cur, key, order=RGB, means=means)
    assert_same_flow(our_flow(converted(path), cur, key), theirs)
    assert read_flownet(path).means is None


def test_mmflow(tmp_path):
    network = foreign.MMFlowSource().randomise(5)
    path = save(network, tmp_path / 'flownets_8x1_slong.pth', meta=dict(CLASSES=None))
    cur, key = frames(6)
    none = [(0.0, 0.0, 0.0)] * 2
    theirs = source_flow(network, cur, key, order=BGR, means=none, border='ours')
    assert_same_flow(our_flow(converted(path), cur, key), theirs)


@pytest.mark.parametrize(
    ('predictions', 'form'),
    [
        ('Convolution', {}),
        ('Convolution', dict(v1=True, old_shape=True)),
        ('predict_flow', dict(double=True)),
        ('predict_conv', dict(old_shape=True, packed=False)),
    ],
)
def test_caffe(tmp_path, predictions, form):
    network = foreign.CaffeSource().randomise(7)
    path = tmp_path / 'flownets.caffemodel'
    path.write_bytes(foreign.caffe_net(network.layers(predictions), **form))
    cur, key = frames(8)
    none = [(0.0, 0.0, 0.0)] * 2
    theirs = source_flow(network, cur, key, order=BGR, means=none, border='ours')
    assert_same_flow(our_flow(converted(path), cur, key), theirs)


def test_caffe_means_in_the_file(tmp_path):
    network = foreign.CaffeSource().randomise(7)
    means = [torch.tensor([0.40, 0.43, 0.46]), torch.tensor([0.38, 0.41, 0.44])]  # BGR
    layers = [
        foreign.caffe_layer(
            f'img{i}s_aug',
            [torch.ones(1, 1, 1, 1), torch.zeros(1, 3, 2, 4), mean.view(1, 3, 1, 1)],
            kind='DataAugmentation',
        )
        for i, mean in enumerate(means)
    ]
    path = tmp_path / 'flownets.caffemodel'
    path.write_bytes(b''.join(reversed(layers)) + foreign.caffe_net(network.layers()))
    cur, key = frames(8)
    rgb = [mean.flip(0) for mean in means]
    theirs = source_flow(network, cur, key, order=BGR, means=rgb, border='ours')
    assert_same_flow(our_flow(converted(path), cur, key), theirs)
    given = read_flownet(path, mean=(0.1, 0.2, 0.3))
    assert given.means == ((0.1, 0.2, 0.3), (0.1, 0.2, 0.3))


def test_the_border_alone_differs(tmp_path):
    """The source pads with black here, we with the mean colour: two rows and columns.

    A first layer of 7x7, stride 2 sees past the border in its first two outputs, and
    past the other side in its last ones.
    """
    network = foreign.MMFlowSource().randomise(5)
    path = save(network, tmp_path / 'f.pth')
    ours = FlowNetS(WIDTH, scale_channels=None)
    ours.load_state_dict(converted(path))
    cur, key = (F.avg_pool2d(frame, 2) for frame in frames(6))
    mean = MEAN.view(1, 3, 1, 1)
    with torch.no_grad():
        mine = ours.conv1(torch.cat([cur - mean, key - mean], 1) / 255)
        theirs = network.conv('conv1')[0](
            torch.cat([cur[:, BGR], key[:, BGR]], 1) / 255
        )
    inner = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(mine[inner], theirs[inner], rtol=1e-4, atol=1e-4)
    assert (mine - theirs).abs().max() > 0.1


def by_hand(layout):
    """Give a network that sees one pixel: its flow can be computed by hand.

    conv1 channel 0 is 1, 2, 3 times the first frame's channels + 4, 5, 6 times the
    second's; conv2 hands it on; the last prediction is (0.5, -0.25) of it.
    """
    network = layout.eval()
    with torch.no_grad():
        for value in network.state_dict().values():
            value.zero_()
        conv1, conv2 = network.conv('conv1')[0], network.conv('conv2')[0]
        conv1.weight[0, :, 3, 3] = torch.arange(1.0, 7.0)
        conv2.weight[0, 0, 2, 2] = 1
        network.predict(2).weight[:, 0, 1, 1] = torch.tensor([0.5, -0.25])
    return network


# 1, 2, 3 x (first) + 4, 5, 6 x (second) of frames (102, 51, 204) and (51, 153, 255)
# in RGB, that is (.4, .2, .8) and (.2, .6, 1) of 255
HAND_COMPUTED = dict(
    # RGB: .4 + .4 + 2.4 + .8 + 3 + 6 = 13; means 5 x .45 + 7 x .432 + 9 x .411
    flownet_pytorch=13 - 8.973,
    # BGR: .8 + .4 + 1.2 + 4 + 3 + 1.2
    mmflow=10.6,
    caffe=10.6,
    # RGB, our mean in the place of each pair's: (5 x 123.15 + 7 x 115.9 + 9 x 103.06)
    flownet2_pytorch=13 - (615.75 + 811.3 + 927.54) / 255,
)


@pytest.mark.parametrize('source', list(HAND_COMPUTED))
def test_by_hand(tmp_path, source):
    if source == 'caffe':
        path = tmp_path / 'f.caffemodel'
        network = by_hand(foreign.CaffeSource())
        path.write_bytes(foreign.caffe_net(network.layers()))
    else:
        is_mmflow = source == 'mmflow'
        bias = source == 'flownet2_pytorch'
        layout = foreign.MMFlowSource() if is_mmflow else foreign.PyTorchSource(
            decoder_bias=bias
        )  # fmt: skip
        path = save(by_hand(layout), tmp_path / 'f.pth')
    cur, key = (
        torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 128, 128)
        for colour in ([102.0, 51.0, 204.0], [51.0, 153.0, 255.0])
    )
    flow = our_flow(converted(path, source=source), cur, key)[0, :, 8, 8]
    seen = HAND_COMPUTED[source]
    # x 20: pixels of the half-size frames; x 2: of the frames
    expected = torch.tensor([0.5, -0.25]) * seen * 20 * 2
    torch.testing.assert_close(flow, expected, rtol=1e-4, atol=1e-4)


def test_tool_writes_what_a_config_loads(tmp_path):
    network = foreign.MMFlowSource().randomise(5)
    path, out = save(network, tmp_path / 'f.pth'), tmp_path / 'new' / 'out.pth'
    tool = ROOT / 'tools/model_converters/flownet.py'
    printed = call(sys.executable, tool, path, out)
    assert 'FlowNetS(width=0.0625)' in printed and 'source mmflow: bgr' in printed
    flow_net = MODELS.build(
        dict(
            type='FlowNetS',
            width=WIDTH,
            scale_channels=3,
            init_cfg=dict(type='Pretrained', checkpoint=str(out)),
        )
    )
    flow_net.init_weights()
    own = flow_net.state_dict()
    for name, array in converted(path).items():
        assert torch.equal(own[name], array)
    assert own['predict_scale.0.bias'].eq(1).all()
    printed = call_tool(tool, tmp_path / 'none.pth', out, is_ok=False)
    assert 'error: checkpoint' in printed and 'Traceback' not in printed
