from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.testing import assert_close

from dff.cost.benchmark import make_data, moving_frames
from dff.cost.complexity import count_macs
from dff.models.flow import FlowNetInception, FlowNetS

ROOT = Path(__file__).resolve().parents[3]

# paper Tab. 8: stride and "# output" of every layer
ROWS = {
    'conv1': (2, 32),
    'pool1': (2, 32),
    'conv2': (1, 64),
    'conv3_1': (2, 128),
    'conv3_2': (1, 128),
    'conv3_3': (1, 128),
    'conv4_1': (2, 256),
    'conv4_2': (1, 256),
    'conv5_1': (2, 384),
    'conv5_2': (1, 384),
    'conv6_1': (2, 512),
    'conv6_2': (1, 512),
}
# ... and the convolutions of four blocks, branch by branch: output channels, kernel
BRANCHES = {
    'conv2': [(24, 1), (32, 3), (24, 1), (32, 3), (32, 3)],
    'conv3_3': [(48, 1), (48, 1), (64, 3), (12, 1), (16, 3), (16, 3)],
    'conv4_1': [(32, 1), (112, 1), (128, 3), (28, 1), (32, 3), (32, 3), (64, 1)],
    'conv6_2': [(192, 1), (192, 1), (256, 3), (48, 1), (64, 3), (64, 3)],
}


def frames(n=1, height=122, width=165, seed=0):
    rng = torch.Generator().manual_seed(seed)
    cur, key = torch.rand(2, n, 3, height, width, generator=rng) * 255 - 115
    return cur, key


def build(**kwargs):
    """Make a network whose every weight, scale branch included, does something."""
    torch.manual_seed(3)
    net = FlowNetInception(**{'scale_channels': 6, **kwargs})
    for conv in net.predict_scale:
        nn.init.normal_(conv.weight, std=0.1)
    return net.eval()


def test_layers_of_the_paper_in_their_order():
    net, seen = build(), {}
    for name in ROWS:
        net.get_submodule(name).register_forward_hook(
            lambda _, args, out, name=name: seen.update({name: (args[0], out)})
        )
    net(*frames())
    assert list(seen) == list(ROWS)
    for name, (stride, channels) in ROWS.items():
        before, out = seen[name]
        assert out.shape[1] == channels, name
        cells = tuple(-(-side // stride) for side in before.shape[-2:])
        assert tuple(out.shape[-2:]) == cells, name
        assert (out < 0).any(), name  # leaky: no branch ends without an activation
    for before, after in zip(ROWS, list(ROWS)[1:], strict=False):
        assert seen[after][0] is seen[before][1], after


@pytest.mark.parametrize('name', BRANCHES)
def test_branches_of_the_paper(name):
    block = build().get_submodule(name)
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    found = [(conv.out_channels, conv.kernel_size[0]) for conv in convs]
    assert found == BRANCHES[name]


def test_a_reduction_is_its_branches_side_by_side():
    block = build().conv4_1
    x = torch.randn(2, 128, 13, 18)
    weights = [(m.weight, m.bias) for m in block.modules() if isinstance(m, nn.Conv2d)]

    def conv(x, index, stride=1):
        weight, bias = weights[index]
        padding = weight.shape[-1] // 2
        out = nn.functional.conv2d(x, weight, bias, stride, padding)
        return torch.where(out > 0, out, 0.1 * out)

    pooled = nn.functional.max_pool2d(x, 3, 2, padding=1)
    expected = [
        conv(x, 0, stride=2),
        conv(conv(x, 1), 2, stride=2),
        conv(conv(conv(x, 3), 4, stride=2), 5),
        conv(pooled, 6),
    ]
    assert_close(block(x), torch.cat(expected, dim=1))


def test_parameters_and_multiply_adds():
    net = FlowNetInception().eval()
    count = sum(p.numel() for p in net.parameters())
    assert round(count / 1e6, 2) == 3.37
    frame = torch.zeros(1, 3, 600, 1000)
    macs, (flow, scale) = count_macs(lambda: net(frame, frame))
    assert flow.shape == (1, 2, 38, 63) and scale.shape == (1, 1024, 38, 63)
    assert macs / 1e9 == pytest.approx(1.725, abs=0.0005)
    # paper Tab. 2, with the feature networks' multiply-adds
    assert 118.67e9 / macs == pytest.approx(68.97, rel=0.02)
    assert 164.01e9 / macs == pytest.approx(95.24, rel=0.02)


def test_deconvolutions_have_an_eighth_of_their_skips():
    net = FlowNetInception()
    widths = [net.get_submodule(f'deconv{level}').out_channels for level in range(2, 6)]
    assert widths == [8, 16, 32, 48]


@pytest.mark.parametrize('size', [(64, 96), (65, 127), (122, 165), (1, 1)])
@pytest.mark.parametrize('strides', [(16,), (32, 8, 4, 128)])
def test_sizes_are_those_of_flownet(size, strides):
    ours = build(strides=strides)
    theirs = FlowNetS(0.125, strides=strides, scale_channels=6).eval()
    assert ours.strides == theirs.strides and ours.flow_stride == theirs.flow_stride
    for n in (0, 1):
        pair = frames(n, *size)
        for got, wanted in zip(ours(*pair), theirs(*pair), strict=True):
            listed = isinstance(got, list)
            got, wanted = (got, wanted) if listed else ([got], [wanted])
            assert [g.shape for g in got] == [w.shape for w in wanted]
        multi = ours.forward_multi_scale(*pair), theirs.forward_multi_scale(*pair)
        assert [m.shape for m in multi[0]] == [m.shape for m in multi[1]]


def test_only_the_levels_asked_for():
    net = build(strides=(8, 16, 32), scale_channels=(3, 5, 4))
    pair = frames()
    flow, scales = net(*pair)
    some_flow, some = net(*pair, levels=[2, 0])
    assert torch.equal(some_flow, flow)
    assert torch.equal(some[0], scales[2]) and torch.equal(some[1], scales[0])


def test_scale_starts_at_one_and_flow_small():
    torch.manual_seed(0)
    flow, scale = FlowNetInception(scale_channels=5)(*frames())
    assert (scale == 1).all()
    assert 0 < flow.abs().max() < 3


def test_signal_neither_dies_nor_explodes():
    torch.manual_seed(1)
    net, seen = FlowNetInception(), {}
    for name, module in net.named_children():
        module.register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out.std().item()})
        )
    net(*frames())
    for name in (*ROWS, 'deconv5', 'deconv2'):
        assert 0.02 < seen[name] < 2, (name, seen)


def test_every_parameter_gets_a_gradient():
    net = build(strides=(8, 16), scale_channels=3)
    flow, scales = net(*frames())
    (flow.square().mean() + sum(s.square().mean() for s in scales)).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


def test_it_is_built_by_name_and_pretrained_as_flownet_is():
    cfg = dict(type='FlowNetInception', strides=(8,), scale_channels=None)
    trainer = MODELS.build(dict(type='FlowPretrainer', flow_estimator=cfg))
    images = [torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8) for _ in range(2)]
    cur, key = (trainer._to_rgb([image]) for image in images)
    losses = trainer.loss(cur, key, torch.ones(1, 2, 64, 96))
    assert sum(name.startswith('loss_scale') for name in losses) == 5
    sum(loss for name, loss in losses.items() if 'loss' in name).backward()
    for name, p in trainer.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(downsample='area'), "downsample must be .* got 'area'"),
        (dict(strides=(16, 32), scale_channels=[8]), 'one per level .2 strides., got'),
        (dict(strides=(16, 24)), 'powers of two'),
    ],
)
def test_bad_options(kwargs, match):
    with pytest.raises(ValueError, match=match):
        FlowNetInception(**kwargs)


def test_it_propagates_in_a_video_detector():
    cfg = Config.fromfile(ROOT / 'configs/mini/dff_rfcn_r18_synthetic.py').model
    channels = cfg.propagation.flow_estimator.scale_channels
    cfg.propagation.flow_estimator = dict(
        type='FlowNetInception', strides=(16,), scale_channels=channels
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg).eval()
    runs = []
    model.propagation.flow_estimator.register_forward_hook(
        lambda _, __, out: runs.append(out[1].shape)
    )
    results = []
    with torch.no_grad():
        for frame_id, image in enumerate(moving_frames((96, 128), 3)):
            results += model.test_step(make_data(model, image, frame_id))
    assert [r.is_key_frame for r in results] == [True, False, False]
    assert runs == [(1, channels, 6, 8)] * 2
