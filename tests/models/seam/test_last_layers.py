"""Heads in two parts: in front of their last learned layers, and from there on."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from dff.models.seam.last_layers import find_last_layers
from dff.models.seam.two_parts import check_last_layers, run_after, run_before

POINTS = dict(type='MlvlPointGenerator', offset=0, strides=[8, 16])
ANCHORS = dict(
    type='AnchorGenerator', ratios=[1.0], octave_base_scale=8, scales_per_octave=1,
    strides=[8, 16],
)  # fmt: skip
TOWERS = dict(num_classes=3, in_channels=8, feat_channels=8, stacked_convs=2)
GROUPS = dict(type='GN', num_groups=2)
HEADS = {
    'RetinaHead': (dict(TOWERS, anchor_generator=ANCHORS), 'retina_cls retina_reg'),
    'FCOSHead': (
        dict(TOWERS, strides=[8, 16], norm_cfg=GROUPS, centerness_on_reg=True,
             norm_on_bbox=True, regress_ranges=((-1, 64), (64, 1e8))),
        'conv_centerness conv_cls conv_reg',
    ),
    'ATSSHead': (
        dict(TOWERS, anchor_generator=ANCHORS, norm_cfg=GROUPS),
        'atss_centerness atss_cls atss_reg',
    ),
    'GFLHead': (
        dict(TOWERS, anchor_generator=ANCHORS, norm_cfg=GROUPS), 'gfl_cls gfl_reg'
    ),
    'VFNetHead': (
        dict(TOWERS, anchor_generator=dict(ANCHORS, center_offset=0.0),
             norm_cfg=GROUPS, strides=[8, 16],
             regress_ranges=((-1, 64), (64, 1e8))),
        'vfnet_cls vfnet_reg_refine',
    ),
    'RTMDetHead': (
        dict(TOWERS, anchor_generator=POINTS, norm_cfg=dict(type='BN')),
        'rtm_cls rtm_obj rtm_reg',
    ),
    'RTMDetSepBNHead': (
        dict(TOWERS, anchor_generator=POINTS, share_conv=True, with_objectness=False),
        'rtm_cls.0 rtm_cls.1 rtm_reg.0 rtm_reg.1',
    ),
    'YOLOXHead': (
        dict(TOWERS, strides=(8, 16)),
        'multi_level_conv_cls.0 multi_level_conv_cls.1 multi_level_conv_obj.0 '
        'multi_level_conv_obj.1 multi_level_conv_reg.0 multi_level_conv_reg.1',
    ),
    'CenterNetHead': (
        dict(num_classes=3, in_channels=8, feat_channels=8),
        'heatmap_head.2 offset_head.2 wh_head.2',
    ),
    'YOLOV3Head': (
        dict(num_classes=3, in_channels=[8, 8], out_channels=[8, 8],
             featmap_strides=[16, 8],
             anchor_generator=dict(type='YOLOAnchorGenerator', strides=[16, 8],
                                   base_sizes=[[(64, 64)], [(16, 16)]])),
        'convs_pred.0 convs_pred.1',
    ),
}  # fmt: skip
LAYERS = (nn.Conv2d, nn.Linear)


def build(name):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    head = MODELS.build(dict(type=name, **HEADS[name][0])).eval()
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.3)
    return head


def pyramid(seed=0):
    torch.manual_seed(seed)
    sides = ((8, 12), (4, 6))
    return tuple(torch.rand(2, 8, *side) for side in sides)


def flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for part in outputs for tensor in flat(part)]


def names_that_run(head, function):
    names = []
    handles = [
        module.register_forward_hook(lambda *_, n=name: names.append(n))
        for name, module in head.named_modules()
        if isinstance(module, LAYERS)
    ]
    result = function()
    for handle in handles:
        handle.remove()
    return set(names), result


@pytest.mark.parametrize('name', HEADS)
@pytest.mark.parametrize('training', [False, True])
def test_a_head_in_two_parts_is_the_head(name, training):
    head, feats = build(name), pyramid()
    if name == 'CenterNetHead':
        feats = feats[:1]
    layers = find_last_layers(head, feats)
    wanted_last = tuple(HEADS[name][1].split())
    assert layers.last == wanted_last
    assert layers.kept == (('vfnet_reg',) if name == 'VFNetHead' else ())
    head.train(training)
    for module in head.modules():  # statistics must not move between the two runs
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        wanted = flat(head(feats))
        before, (maps, record) = names_that_run(
            head, lambda: run_before(head, layers, feats)
        )
        after, found = names_that_run(
            head, lambda: run_after(head, layers, maps, record)
        )
    found = flat(found)
    assert len(found) == len(wanted)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert after == set(layers.last) and not before & after


def test_a_map_that_two_layers_read_is_propagated_once():
    head, feats = build('FCOSHead'), pyramid()
    layers = find_last_layers(head, feats)
    with torch.no_grad():
        maps, record = run_before(head, layers, feats)
    assert [tuple(m.shape) for m in maps] == [
        (2, 8, 8, 12), (2, 8, 8, 12), (2, 8, 4, 6), (2, 8, 4, 6),
    ]  # fmt: skip
    (reg, centre) = (record.inputs[n] for n in ('conv_reg', 'conv_centerness'))
    assert reg == centre and reg != record.inputs['conv_cls']


def test_the_second_part_runs_on_any_batch():
    """Frames of several streams run as one batch, also if their keys ran alone."""
    head = build('VFNetHead')
    one, two = pyramid(1), pyramid(2)
    layers = find_last_layers(head, one)
    with torch.no_grad():
        maps, record = run_before(head, layers, one)
        others, _ = run_before(head, layers, two)
        joined = [torch.cat(pair) for pair in zip(maps, others, strict=True)]
        found = flat(run_after(head, layers, joined, record))
        both = [torch.cat(pair) for pair in zip(one, two, strict=True)]
        wanted = flat(head(both))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_gradients_reach_both_parts():
    head, feats = build('GFLHead'), pyramid()
    layers = find_last_layers(head, feats)
    maps, record = run_before(head, layers, feats)
    found = flat(run_after(head, layers, maps, record))
    sum(part.square().sum() for part in found).backward()
    grads = [p.grad.clone() for p in head.parameters()]
    head.zero_grad()
    sum(part.square().sum() for part in flat(head(feats))).backward()
    for grad, parameter in zip(grads, head.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad, rtol=1e-4, atol=1e-4)


class Odd(nn.Module):
    """A head that returns its input beside its output."""

    def __init__(self, returns_input):
        super().__init__()
        self.tower, self.last = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 2, 1)
        self.returns_input = returns_input

    def forward(self, feats):
        (x, *_) = feats
        out = self.last(torch.relu_(self.tower(x)))
        return (out, x) if self.returns_input else out


def test_a_head_that_returns_what_no_layer_made_is_refused():
    head, feats = Odd(False), pyramid()
    check_last_layers(head, find_last_layers(head, feats), feats)
    head = Odd(True)
    with pytest.raises(ValueError, match=r"Odd returns more than .* \['last'\]"):
        check_last_layers(head, find_last_layers(head, feats), feats)
    with pytest.raises(ValueError, match='no learned layer is the last one of ReLU'):
        find_last_layers(nn.ReLU(), feats[0])
