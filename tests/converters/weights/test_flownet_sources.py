"""What a FlowNetS checkpoint of another project must be."""

import foreign_flownets as foreign
import pytest
import torch

from dff.converters.weights.flownet_sources import read_flownet
from dff.converters.weights.flownet_weights import adapt_weights


def make(tmp_path, network=None, change=lambda state: None, **extra):
    network = network or foreign.PyTorchSource().randomise(0)
    state = dict(network.state_dict())
    change(state)
    path = tmp_path / 'f.pth'
    torch.save(dict(state_dict=state, **extra), path)
    return path


def rename(old, new):
    return lambda state: state.update({new: state.pop(old)})


@pytest.mark.parametrize(
    ('network', 'extra', 'source'),
    [
        (foreign.PyTorchSource(), dict(arch='flownets'), 'flownet_pytorch'),
        (foreign.PyTorchSource(batch_norm=True), dict(arch='flownets_bn'),
         'flownet_pytorch'),
        (foreign.PyTorchSource(decoder_bias=True), {}, 'flownet2_pytorch'),
        (foreign.PyTorchSource(decoder_bias=True), dict(arch='FlowNet2S'),
         'flownet2_pytorch'),
        (foreign.MMFlowSource(), {}, 'mmflow'),
    ],
)  # fmt: skip
def test_source_is_inferred_from_the_file(tmp_path, network, extra, source):
    assert read_flownet(make(tmp_path, network, **extra)).source == source


def test_unknown_source_is_refused(tmp_path):
    path = make(tmp_path)  # no arch, no bias: one of two
    with pytest.raises(ValueError, match='does not show its source: pass one of'):
        read_flownet(path)
    assert read_flownet(path, source='flownet_pytorch').channel_order == 'rgb'
    given = read_flownet(
        path,
        source='flownet_pytorch',
        channel_order='bgr',
        mean=(0, 0, 0),
        flow_divisor=1,
    )
    assert given.channel_order == 'bgr' and given.flow_divisor == 1
    assert given.means == ((0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(source='raft'), "source must be one of .*got 'raft'"),
        (dict(channel_order='gray'), "rgb or bgr, got 'gray'"),
        (dict(mean=(123, 117, 104)), r'red, green, blue in 0\.\.1'),
        (dict(mean=(0.5, 0.5)), r'red, green, blue in 0\.\.1'),
        (dict(flow_divisor=0), 'flow_divisor must be > 0, got 0'),
    ],
)
def test_bad_options(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        read_flownet(make(tmp_path, arch='flownets'), **options)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (rename('conv2.0.weight', 'conv9.0.weight'), 'no FlowNetS has: conv9.0'),
        (lambda s: s.pop('conv4_1.0.weight'), r'lacks the arrays conv4_1\.0\.weight'),
        (lambda s: s.pop('conv4_1.0.bias'), r'lacks the arrays conv4_1\.0\.bias'),
        (lambda s: s.pop('upsampled_flow4_to_3.weight'), 'upsampled_flow4_to_3'),
        (
            lambda s: s['conv2.0.weight'].fill_(torch.nan),
            r'conv2\.0\.weight must be fin',
        ),
        (lambda s: s.update({'conv2.0.weight': 3}), 'must be an array, got 3'),
        (lambda s: s.update({'conv2.0.bias': torch.ones(8).long()}), 'be an array'),
    ],
)
def test_bad_arrays(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_flownet(make(tmp_path, change=change, arch='flownets'))


def test_batch_norm_must_be_whole(tmp_path):
    network = foreign.PyTorchSource(batch_norm=True).randomise(0)
    path = make(
        tmp_path, network, lambda s: s.pop('conv3.1.running_var'), arch='flownets_bn'
    )
    with pytest.raises(ValueError, match=r'lacks the arrays conv3\.1\.running_var'):
        read_flownet(path)


@pytest.mark.parametrize(
    ('name', 'shape', 'message'),
    [
        ('conv1.0.weight', (4, 12, 7, 7), r'conv1\.weight .*\(4, 6, 7, 7\).*\(4, 12'),
        ('conv1.0.weight', (65, 6, 7, 7), '1 to 64 output channels, got 65'),
        ('conv5.0.bias', (31,), r'conv5\.bias must .*\(32,\).*0\.0625, got \(31,\)'),
        ('deconv3.0.weight', (8, 50, 4, 4), r'deconv3\.weight must have the shape'),
    ],
)
def test_bad_shapes(tmp_path, name, shape, message):
    path = make(
        tmp_path,
        change=lambda state: state.update({name: torch.zeros(shape)}),
        arch='flownets',
    )
    with pytest.raises(ValueError, match=message):
        adapt_weights(read_flownet(path))


def test_bad_files(tmp_path):
    torch.save(dict(state_dict=3), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='must be a dict, got int: 3'):
        read_flownet(tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='div_flow must be a number'):
        read_flownet(make(tmp_path, arch='flownets', div_flow='20'))
    path = make(tmp_path, arch='flownets', div_flow=float('inf'))
    with pytest.raises(ValueError, match=f'{path}: div_flow must be > 0 and finite'):
        read_flownet(path)
    with pytest.raises(FileNotFoundError):
        read_flownet(tmp_path / 'none.pth')


def caffe(tmp_path, layers):
    path = tmp_path / 'f.caffemodel'
    path.write_bytes(foreign.caffe_net(layers))
    return path


def test_bad_caffe_layers(tmp_path):
    layers = list(foreign.CaffeSource().layers())
    with pytest.raises(ValueError, match=r'lacks the arrays deconv5\.weight'):
        read_flownet(caffe(tmp_path, [x for x in layers if x[0] != 'deconv5']))
    extra = ('corr', torch.zeros(2, 2, 1, 1))
    with pytest.raises(ValueError, match=r'no FlowNetS has: corr\.weight'):
        read_flownet(caffe(tmp_path, [*layers, extra]))
    with pytest.raises(ValueError, match="'conv1' must come once"):
        read_flownet(caffe(tmp_path, [*layers, layers[0]]))


@pytest.mark.parametrize(
    ('means', 'message'),
    [
        ([[0.4, 0.4, 0.4]], 'mean of both frames'),
        ([[104, 117, 123]] * 2, r'three means in 0\.\.1'),
        ([[0.4]] * 2, r'three means in 0\.\.1'),
    ],
)
def test_bad_caffe_means(tmp_path, means, message):
    layers = list(foreign.CaffeSource().layers())
    for index, mean in enumerate(means):
        mean = torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1)
        arrays = (torch.ones(1, 1, 1, 1), torch.zeros(1, 3, 2, 2), mean)
        layers.append((f'img{index}s_aug', *arrays))
    with pytest.raises(ValueError, match=message):
        read_flownet(caffe(tmp_path, layers))
