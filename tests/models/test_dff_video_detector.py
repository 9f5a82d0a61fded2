"""The checks that every wrapped detector passes."""

import pytest
import torch
from torch import nn
from video_detectors import (
    HEIGHT,
    MODELS_UNDER_TEST,
    WIDTH,
    assert_same_predictions,
    build,
    image_predict,
    pair_batch,
    predict,
    sample,
)
from wrapped_models import frame

import dff  # noqa: F401


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
