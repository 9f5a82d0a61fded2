"""The rules of a video detector's stream, and what it refuses."""

import copy

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn
from video_detectors import (
    HEIGHT,
    WIDTH,
    assert_same_predictions,
    build,
    image_predict,
    pair_batch,
    predict,
    sample,
    stock,
    stream_batch,
)
from wrapped_models import frame

import dff  # noqa: F401
from dff.models import DFFVideoDetector, StreamState


@pytest.mark.parametrize(
    'frames, keys',
    [
        ([('a', 0), ('a', 1), ('b', 2)], [1, 0, 1]),  # a new video
        ([('a', 0), ('a', 1), ('a', 3)], [1, 0, 0]),  # a missing frame is bridged
        ([('a', 0), ('a', 1), ('a', 6)], [1, 0, 1]),  # four are not
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
