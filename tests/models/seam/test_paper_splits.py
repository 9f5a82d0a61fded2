"""Table 5: wherever N is split, key frames are Frame's, and warped maps are right."""

import copy

import pytest
import torch
from split_models import (
    BASE,
    NECK,
    SIZE,
    TASKS,
    image_predict,
    pair_batch,
    paper_model,
    predict,
    predict_pair,
    wrap,
)
from wrapped_models import frame

from dff.models.seam.paper_splits import numbered_splits

# layers in N_task: channels of what is propagated. conv4 has 16 BASE, conv5 32 BASE.
INSIDE = {1: NECK, 2: 32 * BASE, 5: 32 * BASE, 12: 16 * BASE, 21: 16 * BASE}
SCORES = {'detector': 9 * 2 + 9 * 4 + 4 * 49 + 4 * 49, 'segmentor': 3}
SPLITS = (0, *INSIDE)
FIRST_OF_TASK = {  # layers that begin N_task, by hand
    2: 'neck.conv.conv',
    5: 'backbone.layer4.2.conv1',
    12: 'backbone.layer4.0.conv1',
    21: 'backbone.layer3.3.conv1',
}


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


def assert_equal(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a, b)


def calls_of(model):
    """List the modules of an image model that run from now on, by name."""
    names = []
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, n=name: names.append(n))
    return names


@pytest.mark.parametrize('split', SPLITS)
def test_key_frames_are_frames_and_stills_stay(task, split):
    """Bit for bit; and zero flow on a standing picture changes nothing either."""
    video = wrap(task, paper_model(task), split=split, flow=(0.0, 0.0))
    images = [frame(1, size=SIZE)] * 3
    wanted = image_predict(video, task, images[0])
    assert len(wanted[0])
    for found in predict(video, task, images):
        assert_equal(found, wanted)
    assert_equal(predict(video, task, [frame(2, size=SIZE)], first=9)[0],
                 image_predict(video, task, frame(2, size=SIZE)))  # fmt: skip


@pytest.mark.parametrize('split', SPLITS)
def test_layers_of_n_task_run_on_every_frame_and_no_others(task, split):
    video = wrap(task, paper_model(task), split=split, flow=(0.0, 0.0))
    predict(video, task, [frame(1, size=SIZE)])
    names = calls_of(video.image_model)
    predict(video, task, [frame(2, size=SIZE)], first=1)
    convs = {
        name
        for name, module in video.image_model.named_modules()
        if isinstance(module, torch.nn.Conv2d) and name in names
    }
    score_layers = {'rpn_head.rpn_cls', 'rpn_head.rpn_reg', 'roi_head.rfcn_cls',
                    'roi_head.rfcn_reg', 'decode_head.conv_seg'}  # fmt: skip
    assert len(convs - score_layers) == max(0, split - 1)  # siblings count as one
    assert bool(convs & score_layers) == (split > 0)
    if split in FIRST_OF_TASK:
        assert next(name for name in names if name in convs) == FIRST_OF_TASK[split]


@pytest.mark.parametrize('split', SPLITS)
def test_training_reaches_every_parameter(task, split):
    video = wrap(task, paper_model(task), split=split).train()
    scale = video.propagation.flow_estimator.predict_scale[0]
    assert scale.out_channels == {**INSIDE, 0: SCORES[task]}[split]
    torch.nn.init.normal_(scale.weight, std=0.01)  # 0 at first hides what is before
    data = video.data_preprocessor(pair_batch(task, [False, True]), training=True)
    loss, _ = video.parse_losses(video(**data, mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    without = [
        name
        for name, parameter in video.named_parameters()
        if parameter.requires_grad and not parameter.grad.abs().sum() > 0
    ]
    assert not without


@pytest.mark.parametrize('split', SPLITS)
def test_losses_of_stills_are_the_image_models(task, split):
    video = wrap(task, paper_model(task), split=split)
    torch.nn.init.constant_(video.propagation.flow_estimator.predict_flow2.bias, 1e3)
    data = video.data_preprocessor(pair_batch(task, [True, True]), training=True)
    images, samples = data['inputs']['cur'].clone(), data['data_samples']
    torch.manual_seed(1)  # of the sampled anchors
    found = video.loss(data['inputs'], copy.deepcopy(samples))
    torch.manual_seed(1)
    wanted = video.image_model.loss(images, samples)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        values = value if isinstance(value, list) else [value]
        others = found[name] if isinstance(found[name], list) else [found[name]]
        assert_equal(others, values)


@pytest.mark.parametrize('split', SPLITS)
def test_flow_by_whole_cells_moves_the_map_at_the_split(task, split):
    """The rest of N on the key's map, shifted by slicing, is what is predicted."""
    video = wrap(task, paper_model(task), split=split, flow=(32.0, -16.0))
    key, cur = frame(3, size=SIZE), frame(4, size=SIZE)
    still, found = predict(video, task, [key, cur])
    assert any(
        a.shape != b.shape or (a != b).any() for a, b in zip(still, found, strict=True)
    )
    assert_equal(predict_pair(video, task, key, cur), found)

    inner = video.image_model
    place = {5: 'backbone.layer4.1', 12: 'backbone.layer3', 21: 'backbone.layer3.2'}
    place.update({1: 'neck', 2: 'backbone'})

    def shift(feat):  # cur(x, y) is key(x + 32 px, y - 16 px); a cell is 16 px
        out = torch.zeros_like(feat)
        out[..., 1:, :-2] = feat[..., :-1, 2:]
        return out

    def hook(module, inputs, output):
        if isinstance(output, tuple):
            return tuple(shift(feat) for feat in output)
        return shift(output)

    if split:
        inner.get_submodule(place[split]).register_forward_hook(hook)
    elif task == 'segmentor':
        inner.decode_head.conv_seg.register_forward_hook(hook)
    else:
        for layer in ('rpn_cls', 'rpn_reg'):
            inner.rpn_head.get_submodule(layer).register_forward_hook(hook)
        for layer in ('rfcn_cls', 'rfcn_reg'):
            inner.roi_head.get_submodule(layer).register_forward_hook(hook)
    wanted = image_predict(video, task, key)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_without_a_number_it_is_split_one(task):
    wanted = wrap(task, paper_model(task), flow=(16.0, 0.0))
    found = wrap(task, paper_model(task), split=1, flow=(16.0, 0.0))
    images = [frame(5, size=SIZE), frame(6, size=SIZE)]
    for a, b in zip(
        predict(found, task, images), predict(wanted, task, images), strict=True
    ):
        assert_equal(a, b)
    assert found.state_dict().keys() == wanted.state_dict().keys()


def test_a_stream_keeps_its_key_features_as_they_were(task):
    """What N_task does with an inner map must not write into it."""
    for split in (0, 5, 12):
        video = wrap(task, paper_model(task), split=split, flow=(0.0, 0.0), interval=9)
        image = frame(1, size=SIZE)
        predict(video, task, [image])
        before = [m.clone() for m in video.stream.key_feats[0].maps.values()]
        predict(video, task, [image, image], first=1)
        assert_equal(video.stream.key_feats[0].maps.values(), before)


def test_copies_run_on_their_own_weights(task):
    """As averaging of weights needs it."""
    video = wrap(task, paper_model(task), split=12, flow=(0.0, 0.0))
    twin = copy.deepcopy(video)
    torch.nn.init.zeros_(twin.image_model.backbone.conv1.weight)
    image = frame(1, size=SIZE)
    assert_equal(predict(twin, task, [image])[0], image_predict(twin, task, image))
    assert_equal(predict(video, task, [image])[0], image_predict(video, task, image))


def test_numbers_count_shortcuts_with_weights(task):
    """ResNet-50: 1 + 1 + 9 x conv5, + 1 for its shortcut, and so on (Sec. 5)."""
    video = wrap(task, paper_model(task))
    numbers = sorted(numbered_splits(video.image_model))
    conv5, conv4 = [2, 5, 8, 12], [15, 18, 21, 24, 27, 31]
    conv3, conv2 = [34, 37, 40, 44], [47, 50]  # behind conv2's first block
    assert numbers == [0, 1, *conv5, *conv4, *conv3, *conv2]


def test_no_scale_stays_none(task):
    flow = dict(type='FlowNetS', width=0.03, scale_channels=None)
    video = wrap(task, paper_model(task), split=5, estimator=flow)
    assert not len(video.propagation.flow_estimator.predict_scale)


@pytest.mark.parametrize(
    'split, error, message',
    [
        (6, ValueError, r'whole blocks.*\[0, 1, 2, 5, 8, 12, .*got 6'),
        (-1, ValueError, 'got -1'),
        (51, ValueError, 'got 51'),
        (True, TypeError, r'got True \(bool\)'),
        (5.0, TypeError, r'got 5.0 \(float\)'),
        ('layer5', ValueError, r"\['layer1', 'layer2', 'layer3', 'layer4'\].*'layer5'"),
    ],
)
def test_what_is_no_place_is_refused(task, split, error, message):
    with pytest.raises(error, match=message):
        wrap(task, paper_model(task), split=split)
