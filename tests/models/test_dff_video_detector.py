"""The checks that every wrapped detector passes, and the stream's rules."""

import copy
import warnings

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import nn
from wrapped_models import SIZE, ConstantFlow, frame, randomise

import dff  # noqa: F401
from dff.models import DFFVideoDetector, StreamState

HEIGHT, WIDTH = SIZE
FPN_STRIDES = (4, 8, 16, 32, 64)
RETINA_STRIDES = (8, 16, 32, 64, 128)


def stock(name):
    """Take a stock mmdet model config, without what must be downloaded."""
    model = get_config(f'mmdet::{name}').model
    model.backbone.init_cfg = None
    model.backbone.depth = 18  # a quarter of the time; nothing else changes
    model.neck.in_channels = [64, 128, 256, 512]
    for part in (model.test_cfg, model.test_cfg.get('rcnn', {})):
        if 'score_thr' in part:
            part['score_thr'] = 0.0
    return model


def rfcn():
    """Take the shipped R-FCN's structure at a size for tests."""
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    model = Config.fromfile(root / 'configs/vid/dff_rfcn_r50_vid.py').model.detector
    model.backbone.init_cfg = None
    model.backbone.depth = 18
    model.neck.update(in_channels=512, out_channels=256)
    model.rpn_head.in_channels = model.roi_head.in_channels = 128
    model.train_cfg.rpn.allowed_border = -1  # the release's anchors outgrow the frame
    model.test_cfg.rcnn.score_thr = 0.0
    return model


MODELS_UNDER_TEST = {
    'rfcn': (rfcn, (16,), 256),
    'faster-rcnn-fpn': (
        lambda: stock('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'),
        FPN_STRIDES,
        256,
    ),
    'retinanet': (
        lambda: stock('retinanet/retinanet_r18_fpn_1x_coco.py'),
        RETINA_STRIDES,
        256,
    ),
}


def build(name, *, interval=10, flow=None, frozen=()):
    init_default_scope('mmdet')
    make, strides, channels = MODELS_UNDER_TEST[name]
    estimator = dict(
        type='FlowNetS', width=0.125, strides=strides, scale_channels=channels
    )
    if flow is not None:
        estimator = ConstantFlow(strides, flow)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = DFFVideoDetector(
            detector=make(),
            propagation=dict(type='FeaturePropagation', flow_estimator=estimator),
            key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=interval),
            frozen_modules=frozen,
        )
        model.init_weights()
    randomise(model.detector)
    return model


def sample(size=(HEIGHT, WIDTH), **meta):
    data = DetDataSample(
        metainfo=dict(
            img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), img_id=0, **meta
        )
    )
    data.gt_instances = InstanceData(
        bboxes=torch.tensor([[20.0, 30.0, 90.0, 100.0], [100.0, 10.0, 150.0, 60.0]]),
        labels=torch.tensor([0, 1]),
    )
    data.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    return data


def stream_batch(*frames):
    """Make a test batch of (seed, video id, frame id)."""
    return dict(
        inputs=[frame(seed) for seed, _, _ in frames],
        data_samples=[sample(video_id=v, frame_id=i) for _, v, i in frames],
    )


def pair_batch(is_same):
    return dict(
        inputs=dict(
            cur=[frame(i) for i in range(len(is_same))],
            key=[frame(i + 10 * (not s)) for i, s in enumerate(is_same)],
        ),
        data_samples=[
            sample(video_id=0, frame_id=5, is_same=s, offset=0 if s else 3)
            for s in is_same
        ],
    )


def predict(model, *frames):
    model.eval() if model.training else None
    with torch.no_grad():
        return model.test_step(stream_batch(*frames))


def image_predict(model, seed):
    """Run the wrapped model alone, as its own test_step does."""
    with torch.no_grad():
        return model.detector.test_step(
            dict(inputs=[frame(seed)], data_samples=[sample()])
        )[0]


def assert_same_predictions(a, b):
    for name in ('bboxes', 'scores', 'labels'):
        assert torch.equal(a.pred_instances[name], b.pred_instances[name]), name


@pytest.fixture(params=list(MODELS_UNDER_TEST))
def name(request):
    return request.param


def test_training_moves_every_parameter_of_all_parts(name):
    model = build(name).train()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    # Adam moves whatever has a gradient, however small.
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=1e-4
    )
    for is_same in ([False, True], [False, False]):
        data = model.data_preprocessor(pair_batch(is_same), training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    still = [
        n
        for n, p in model.named_parameters()
        if p.requires_grad and torch.equal(p, before[n])
    ]
    assert not still
    assert any(n.startswith('propagation.') for n in before)


def test_stream_runs_the_backbone_once_a_key_frame(name):
    model = build(name, interval=3).eval()
    calls = []
    model.detector.backbone.register_forward_hook(lambda *_: calls.append(1))
    frames = [(i, 'a', i) for i in range(7)] + [(20 + i, 'b', 4 + i) for i in range(4)]
    results = [predict(model, f)[0] for f in frames]
    is_key = [r.is_key_frame for r in results]
    assert is_key == [1, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1]
    assert [r.offset for r in results] == [0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 0]
    assert len(calls) == sum(is_key)


def test_key_frames_equal_the_wrapped_model_bit_for_bit(name):
    model = build(name, interval=1).eval()
    for seed in range(3):
        assert_same_predictions(
            predict(model, (seed, 'a', seed))[0], image_predict(model, seed)
        )
    model.key_frame_scheduler.interval = 5
    assert_same_predictions(predict(model, (7, 'b', 3))[0], image_predict(model, 7))


def shifted(feat, dx, dy):
    """Slice out[y, x] = feat[y + dy, x + dx], zero where that is outside."""
    out = torch.zeros_like(feat)
    h, w = feat.shape[-2:]
    ys, xs = range(max(0, -dy), min(h, h - dy)), range(max(0, -dx), min(w, w - dx))
    if len(ys) and len(xs):
        y, x = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
        source = feat[..., ys[0] + dy : ys[-1] + dy + 1, xs[0] + dx : xs[-1] + dx + 1]
        out[..., y, x] = source
    return out


def run_heads(detector, feats, data):
    if hasattr(detector, 'roi_head'):
        proposals = detector.rpn_head.predict(feats, [data], rescale=False)
        return detector.roi_head.predict(feats, proposals, [data], rescale=True)[0]
    return detector.bbox_head.predict(feats, [data], rescale=True)[0]


def matches(result, wanted):
    """Compare predictions to 1e-5 of the image and of a score."""
    if len(result.scores) != len(wanted.scores):
        return False
    close = dict(rtol=0, atol=1e-5)
    return (
        torch.allclose(result.scores, wanted.scores, **close)
        and torch.allclose(result.bboxes / WIDTH, wanted.bboxes / WIDTH, **close)
        and torch.equal(result.labels, wanted.labels)
    )


def test_oracle_flow_equals_heads_on_sliced_features(name):
    coarsest = max(MODELS_UNDER_TEST[name][1])
    shift = (coarsest, -coarsest) if coarsest > 32 else (3 * coarsest, -2 * coarsest)
    size = (4 * coarsest, 5 * coarsest) if coarsest > 32 else (HEIGHT, WIDTH)
    if coarsest > 32:
        shift = (2 * coarsest, -coarsest)
    model = build(name, flow=tuple(float(s) for s in shift)).eval()
    key, cur = frame(1, size=size), frame(2, size=size)

    def stream(first, second):
        model.reset_stream()
        with torch.no_grad():
            return [
                model.test_step(
                    dict(
                        inputs=[image],
                        data_samples=[sample(size, video_id=0, frame_id=i)],
                    )
                )[0].pred_instances
                for i, image in enumerate((first, second))
            ][1]

    result = stream(key, cur)
    data = sample(size)
    with torch.no_grad():
        batch = model.detector.data_preprocessor(
            dict(inputs=[key], data_samples=[data]), False
        )
        feats = model.detector.extract_feat(batch['inputs'])

        def wanted(dx, dy):
            moved = []
            for feat in feats:
                stride = round(size[1] / feat.shape[-1])
                assert dx % stride == 0 and dy % stride == 0
                moved.append(shifted(feat, dx // stride, dy // stride))
            return run_heads(model.detector, tuple(moved), data)

        assert len(result.scores) > 0
        assert matches(result, wanted(*shift))
        for wrong in ((0, 0), (-shift[0], -shift[1]), (shift[1], shift[0])):
            assert not matches(result, wanted(*wrong)), wrong


def test_first_level_features_and_flow_are_counted_once(name):
    model = build(name, interval=4, flow=(0.0, 0.0)).eval()
    for i in range(8):
        predict(model, (i, 0, i))
    assert model.propagation.flow_estimator.calls == 6  # none on the 2 key frames


def test_any_test_batch_size_equals_batch_one(name):
    frames = [(0, 'a', 0), (1, 'a', 1), (2, 'a', 2), (3, 'b', 0), (4, 'b', 1)]
    model = build(name, interval=2)
    one = [predict(model, f)[0] for f in frames]
    model.reset_stream()
    five = predict(model, *frames)
    for a, b in zip(one, five, strict=True):
        assert_same_predictions(a, b)


def test_batch_of_two_frame_sizes_equals_batch_one():
    model = build('retinanet').eval()
    items = [
        (frame(0), (HEIGHT, WIDTH), 'a'),
        (frame(1, size=(96, 160)), (96, 160), 'b'),
    ]

    def run(chosen):
        with torch.no_grad():
            return model.test_step(
                dict(
                    inputs=[i for i, _, _ in chosen],
                    data_samples=[
                        sample(s, video_id=v, frame_id=0) for _, s, v in chosen
                    ],
                )
            )

    both = run(items)
    for item, result in zip(items, both, strict=True):
        assert_same_predictions(run([item])[0], result)


def test_stills_give_the_wrapped_models_loss_whatever_flow_and_scale():
    model = build('retinanet').eval()
    estimator = model.propagation.flow_estimator
    nn.init.constant_(estimator.predict_flow2.bias, 3e3)
    nn.init.constant_(estimator.predict_scale[0].bias, float('inf'))
    data = model.data_preprocessor(pair_batch([True, True]), training=True)
    plain = {k: v.clone() for k, v in data['inputs'].items()}
    losses = model.loss(data['inputs'], data['data_samples'])
    wanted = model.detector.loss(plain['cur'], data['data_samples'])
    for key, value in wanted.items():
        for a, b in zip(
            value if isinstance(value, list) else [value],
            losses[key] if isinstance(losses[key], list) else [losses[key]],
            strict=True,
        ):
            assert torch.equal(a, b), key


@pytest.mark.parametrize(
    'frames, keys',
    [
        ([('a', 0), ('a', 1), ('b', 2)], [1, 0, 1]),  # a new video
        ([('a', 0), ('a', 1), ('a', 3)], [1, 0, 1]),  # a missing frame
        ([('a', 5), ('a', 6)], [1, 0]),  # does not begin at 0
        ([('a', 0), ('a', 1), ('a', 0)], [1, 0, 1]),  # goes back
        ([('a', 0), ('a', 1), ('a', 1)], [1, 0, 1]),  # the same frame again
    ],
)
def test_nothing_is_warped_across_a_break_in_the_stream(frames, keys):
    model = build('retinanet')
    results = [predict(model, (i, v, f))[0] for i, (v, f) in enumerate(frames)]
    assert [r.is_key_frame for r in results] == keys
    if keys[-1]:
        assert_same_predictions(results[-1], image_predict(model, len(frames) - 1))


def test_a_changed_frame_size_starts_a_new_key_frame():
    model = build('retinanet').eval()
    with torch.no_grad():
        for i, size in enumerate([(HEIGHT, WIDTH), (96, 160)]):
            result = model.test_step(
                dict(
                    inputs=[frame(i, size=size)],
                    data_samples=[sample(size, video_id=0, frame_id=i)],
                )
            )[0]
            assert result.is_key_frame


def test_state_is_seen_reset_and_never_saved():
    model = build('retinanet')
    predict(model, (0, 'a', 0))
    assert (model.stream.video_id, model.stream.key_frame_id) == ('a', 0)
    assert not any('stream' in k or 'key_' in k for k in model.state_dict())
    assert copy.deepcopy(model).stream.is_empty
    for forget in (
        lambda: model.reset_stream(),
        lambda: model.eval(),
        lambda: model.load_state_dict(model.state_dict()),
    ):
        predict(model, (0, 'a', 0))
        assert not model.stream.is_empty
        forget()
        assert model.stream == StreamState()


def test_frozen_parts_stay_bit_identical_buffers_included():
    model = build('faster-rcnn-fpn', frozen=['detector.backbone', '*scale*']).train()
    assert not any(m.training for m in model.detector.backbone.modules())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    data = model.data_preprocessor(pair_batch([False]), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    torch.optim.SGD(
        [p for p in model.parameters() if p.grad is not None], lr=1e-3
    ).step()
    for key, value in model.state_dict().items():
        is_frozen = key.startswith('detector.backbone') or 'scale' in key
        if is_frozen:
            assert torch.equal(value, before[key]), key
    assert not torch.equal(
        model.detector.rpn_head.rpn_cls.weight,
        before['detector.rpn_head.rpn_cls.weight'],
    )


def test_a_frozen_pattern_that_matches_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"'detector\.trunk' matches no module"):
        build('retinanet', frozen=['detector.trunk'])


def test_half_of_a_place_names_meta_keys():
    model = build('retinanet').eval()
    batch = dict(inputs=[frame(0)], data_samples=[sample(frame_id=3)])
    with pytest.raises(ValueError, match='needs video_id, too.*meta_keys'):
        model.test_step(batch)


def test_frames_without_a_video_are_key_frames():
    model = build('retinanet').eval()
    images = [frame(0), frame(1)]
    batch = dict(inputs=images, data_samples=[sample(), sample()])
    results = model.test_step(batch)
    assert [r.is_key_frame for r in results] == [True, True]
    assert model.stream.is_empty
    expected = model.detector.test_step(
        dict(inputs=images[1:], data_samples=[sample()])
    )
    assert torch.equal(
        results[1].pred_instances.bboxes, expected[0].pred_instances.bboxes
    )


def test_training_on_single_images_is_an_error():
    model = build('retinanet').train()
    with pytest.raises(TypeError, match='needs frame pairs.*VideoPairDataset'):
        model.data_preprocessor(stream_batch((0, 0, 0)), training=True)


def test_a_pair_of_two_sizes_is_an_error():
    model = build('retinanet').train()
    data = pair_batch([False])
    data['inputs']['key'] = [frame(1, size=(96, 160))]
    with pytest.raises(ValueError, match=r'one size, got cur .*128, 192.*96, 160'):
        model.data_preprocessor(data, training=True)


def test_levels_that_do_not_fit_the_strides_are_an_error():
    init_default_scope('mmdet')
    model = DFFVideoDetector(
        detector=stock('retinanet/retinanet_r18_fpn_1x_coco.py'),
        propagation=dict(
            type='FeaturePropagation',
            flow_estimator=dict(
                type='FlowNetS', width=0.125, strides=(16,), scale_channels=256
            ),
        ),
    )
    data = model.data_preprocessor(pair_batch([False]), training=True)
    with pytest.raises(ValueError, match='has 5 feature levels'):
        model.loss(**data)


def test_a_detector_without_preprocessor_is_an_error():
    model = stock('retinanet/retinanet_r18_fpn_1x_coco.py')
    del model['data_preprocessor']
    with pytest.raises(ValueError, match='must have a data_preprocessor'):
        MODELS.build(
            dict(
                type='DFFVideoDetector',
                detector=model,
                propagation=dict(type='FeaturePropagation', flow_estimator=nn.Identity),
            )
        )


@pytest.mark.parametrize(
    'interval, error', [(0, ValueError), (-3, ValueError), (2.0, TypeError)]
)
def test_an_interval_below_one_is_an_error(interval, error):
    with pytest.raises(error, match='interval must be'):
        MODELS.build(dict(type='FixedKeyFrameScheduler', interval=interval))


STEP = (32, -16)  # motion of the content, pixels a frame


def moving_patch(time):
    """Draw a textured patch that moves by STEP a frame over the mean colour."""
    image = np.empty((256, 384, 3), np.uint8)
    image[:] = (103, 116, 123)  # BGR: zero once normalised, as padding is
    patch = np.random.RandomState(5).randint(0, 256, (12, 12, 3), np.uint8)
    patch = patch.repeat(8, axis=0).repeat(8, axis=1)
    x, y = 96 + time * STEP[0], 112 + time * STEP[1]
    image[y : y + 96, x : x + 96] = patch
    return torch.from_numpy(image.transpose(2, 0, 1).copy())


def best_boxes(model, images):
    results = []
    for i, image in enumerate(images):
        data = sample(tuple(image.shape[1:]), video_id=0, frame_id=i)
        with torch.no_grad():
            result = model.test_step(dict(inputs=[image], data_samples=[data]))[0]
        assert result.is_key_frame == (
            i == 0 or model.key_frame_scheduler.interval == 1
        )
        results.append(result.pred_instances.bboxes[0])
    return torch.stack(results)


def test_boxes_follow_a_video_that_really_shifts():
    """On non-key frames the best box is Frame's, to a tenth of a stride (1.6 px).

    Flow lives on the current frame and points into the key frame: against the motion.
    """
    model = build('rfcn', flow=(0.0, 0.0)).eval()
    for part in (model.detector.backbone, model.detector.neck):
        for module in part.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.zeros_(module.bias)  # so that an empty scene gives no features
    for name, module in model.detector.backbone.named_modules():
        if name.endswith('.bn2'):
            nn.init.zeros_(module.weight)  # no residual branch sees the borders
    images = [moving_patch(t) for t in range(3)]
    model.key_frame_scheduler.interval = 1
    wanted = best_boxes(model, images)
    model.key_frame_scheduler.interval = 10

    def distance(sign):
        found = []
        for time in (1, 2):
            flow = tuple(float(sign * time * step) for step in STEP)
            model.propagation.flow_estimator.pixels = flow
            model.reset_stream()
            found.append(best_boxes(model, [images[0], images[time]])[1])
        return float((torch.stack(found) - wanted[1:]).abs().max())

    assert distance(-1) < 1.6
    assert distance(0) > 16
    assert distance(1) > 32
