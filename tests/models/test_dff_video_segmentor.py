"""The checks that every wrapped segmentor passes."""

import pytest
import torch
from mmengine.config import ConfigDict
from segmentors_under_test import (
    CASES,
    SIZE,
    build,
    frame,
    sample,
    step,
    stock,
    stream_batch,
)

PIXELS = 32  # the shift of an oracle flow: whole cells at every stride up to 32


pytestmark = pytest.mark.filterwarnings('ignore')


def handed_in(model):
    """Record what the wrapped model gets from `extract_feat` in `predict`."""
    seen, tail = [], type(model.seam).tail

    def record(self, feats):
        seen.append(feats)
        return tail(self, feats)

    return seen, record


@pytest.mark.parametrize('name', CASES)
def test_it_trains_and_every_parameter_moves(name):
    model = build(name).train()
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)
    moved = set()
    # S starts at weights 0, so that what is before it learns from the second step on
    for _ in range(2):
        losses, loss = step(model, optimizer)
        assert torch.isfinite(loss)
        grads = {n: p.grad for n, p in model.named_parameters()}
        moved |= {n for n, grad in grads.items() if grad is not None and grad.any()}
    still = [n for n, _ in model.named_parameters() if n not in moved]
    assert still == unmoved_by_stock(name), still[:5]
    if 'aux' in ''.join(n for n, _ in model.segmentor.named_children()):
        assert any(key.startswith('aux') for key in losses)


def unmoved_by_stock(name):
    """Parameters that the stock model's own loss does not reach."""
    if name == 'mask2former':  # frozen BN
        return [
            f'segmentor.{n}'
            for n, p in build(name).segmentor.named_parameters()
            if not p.requires_grad
        ]
    if name == 'bisenetv2':  # the BN of the next layer takes a constant away
        return ['segmentor.backbone.semantic.stage4_CEBlock.gap.1.bias']
    return []


@pytest.mark.parametrize('name', CASES)
def test_one_backbone_run_a_key_frame(name):
    model = build(name, interval=3, flow=(0.0, 0.0)).eval()
    runs = []
    model.segmentor.backbone.register_forward_hook(lambda *a: runs.append(1))
    windows = len(model.seam.windows(torch.zeros(1, 3, *SIZE)))
    with torch.no_grad():
        for index in range(5):
            (result,) = model.test_step(stream_batch((index, 'a', index)))
            assert result.is_key_frame == (index in (0, 3))
            assert result.pred_sem_seg.data.shape == (1, *SIZE)
    assert len(runs) == 2 * windows
    assert model.propagation.flow_estimator.calls == 3 * windows
    assert windows == (2 if name == 'segformer' else 1)


@pytest.mark.parametrize('name', CASES)
def test_oracle_flow_shifts_the_features(name, monkeypatch):
    """Flow (-32, 0): what was 32 px to the left; not to the right, not above."""
    model = build(name, flow=(-float(PIXELS), 0.0)).eval()
    seen, record = handed_in(model)
    monkeypatch.setattr(type(model.seam), 'tail', record)
    with torch.no_grad():
        model.test_step(stream_batch((0, 'a', 0), (0, 'a', 1)))
    windows = len(seen) // 2
    case = CASES[name]
    for key, cur in zip(seen[:windows], seen[windows:], strict=True):
        levels = list(cur.maps)
        assert levels == list(case.streamed)
        key, cur = key.maps, cur.maps
        strides = [case.strides[i] for i in case.streamed]
        for level, stride in zip(levels, strides, strict=True):
            cells = PIXELS // stride
            torch.testing.assert_close(
                cur[level][..., cells:], key[level][..., :-cells], rtol=0, atol=1e-5
            )
            assert not cur[level][..., :cells].any()  # from outside: 0
            for wrong in (key[level], key[level].roll(-cells, -1)):
                assert not torch.allclose(cur[level], wrong, atol=1e-3)


@pytest.mark.parametrize('name', ['fcn', 'segformer', 'bisenetv2', 'pidnet'])
def test_the_right_direction_on_a_shifting_video(name):
    """The picture moves 32 px to the right: propagation beats the key's own labels."""
    model = build(name, flow=(-float(PIXELS), 0.0)).eval()
    if name == 'segformer':
        model.segmentor.test_cfg = ConfigDict(mode='whole')
    wide = frame(7, size=(SIZE[0], SIZE[1] + 64))
    first, second = (wide[..., x : x + SIZE[1]] for x in (64, 64 - PIXELS))
    samples = [sample(video_id='a', frame_id=i) for i in range(2)]
    with torch.no_grad():
        key, cur = model.test_step(dict(inputs=[first, second], data_samples=samples))
        (frame_by_frame,) = model.segmentor.test_step(
            dict(inputs=[second], data_samples=[sample()])
        )
    inner = (slice(None), slice(32, -32), slice(PIXELS + 32, -32))
    truth = frame_by_frame.pred_sem_seg.data[inner]
    right = (cur.pred_sem_seg.data[inner] == truth).float().mean()
    copied = (key.pred_sem_seg.data[inner] == truth).float().mean()
    assert right > copied + 0.05, (right, copied)


@pytest.mark.parametrize('name', CASES)
def test_interval_1_is_the_stock_model_bit_for_bit(name):
    model = build(name, interval=1).eval()
    batch = [(seed, 'a', seed) for seed in range(2)]
    with torch.no_grad():
        results = model.test_step(stream_batch(*batch))
        for seed, result in enumerate(results):
            (expected,) = model.segmentor.test_step(stream_batch((seed, 'a', seed)))
            assert torch.equal(result.seg_logits.data, expected.seg_logits.data)
            assert torch.equal(result.pred_sem_seg.data, expected.pred_sem_seg.data)


@pytest.mark.parametrize('size', [(97, 131), (128, 150), (70, 70)])
def test_slide_on_odd_sizes(size):
    """Windows are mmseg's: at the border they are moved back, or smaller."""
    cfg = stock('fcn')
    cfg.test_cfg = dict(mode='slide', crop_size=(80, 96), stride=(50, 64))
    model = build('fcn', cfg=cfg, interval=2).eval()
    calls = []
    extract = model.segmentor.extract_feat
    model.segmentor.extract_feat = lambda x: calls.append(x.shape[2:]) or extract(x)
    with torch.no_grad():
        (expected,) = model.segmentor.test_step(stream_batch((0, 'a', 0), size=size))
        del model.segmentor.extract_feat
        windows = model.seam.windows(torch.zeros(1, 3, *size))
        assert [(y2 - y1, x2 - x1) for y1, x1, y2, x2 in windows] == [
            tuple(shape) for shape in calls
        ]
        key, cur = model.test_step(stream_batch((0, 'a', 0), (1, 'a', 1), size=size))
    assert torch.equal(key.seg_logits.data, expected.seg_logits.data)
    assert not cur.is_key_frame and cur.pred_sem_seg.data.shape == (1, *size)
    assert model.stream.flow.shape[2:] == tuple(-(-side // 8) for side in size)


@pytest.mark.parametrize('name', CASES)
def test_any_batch_size_is_batch_1(name):
    frames = [(0, 'a', 0), (1, 'a', 1), (2, 'b', 0), (3, 'b', 1)]
    with torch.no_grad():
        together = build(name).eval().test_step(stream_batch(*frames))
        model = build(name).eval()
        alone = [model.test_step(stream_batch(item))[0] for item in frames]
    for one, other in zip(together, alone, strict=True):
        assert torch.equal(one.seg_logits.data, other.seg_logits.data)
        assert (one.is_key_frame, one.offset) == (other.is_key_frame, other.offset)


@pytest.mark.parametrize('name', ['fcn', 'bisenetv2', 'deeplabv3plus'])
def test_scale_is_predicted_for_the_levels_that_are_read(name):
    model = build(name).eval()
    asked = [0] * len(CASES[name].strides)

    def count(index):
        return lambda *args: asked.__setitem__(index, asked[index] + 1)

    scales = model.propagation.flow_estimator.predict_scale
    for index, conv in enumerate(scales):
        conv.register_forward_hook(count(index))
    with torch.no_grad():
        model.test_step(stream_batch((0, 'a', 0), (1, 'a', 1)))
    assert [i for i, n in enumerate(asked) if n] == list(CASES[name].streamed)


def test_a_call_without_a_video_is_a_key_frame():
    model = build('bisenetv2').eval()
    batch = dict(inputs=[frame(0), frame(1)], data_samples=[sample(), sample()])
    with torch.no_grad():
        results = model.test_step(batch)
    assert [r.is_key_frame for r in results] == [True, True]
    assert model.stream.is_empty


@pytest.mark.parametrize('name', ['fcn', 'pidnet', 'mask2former'])
def test_all_void_is_no_loss_and_no_nan(name):
    model = build(name).train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    _, loss = step(model, optimizer, is_void=True)
    assert torch.isfinite(loss)
    if name == 'fcn':
        assert loss == 0
    for parameter_name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), parameter_name
        if parameter.requires_grad and name != 'mask2former':
            assert parameter.grad is not None, parameter_name  # no rank waits


@pytest.mark.parametrize('name', CASES)
def test_odd_sizes(name):
    size = (97, 131)
    cfg = stock(name)
    cfg.test_cfg = ConfigDict(mode='whole')
    if name == 'pidnet':  # stock PIDNet cannot add its branches at such a size
        with pytest.raises(RuntimeError, match='must match'), torch.no_grad():
            build(name).segmentor.eval().test_step(stream_batch((0, 'a', 0), size=size))
        cfg.data_preprocessor.test_cfg = dict(size_divisor=64)
    model = build(name, cfg=cfg).eval()
    with torch.no_grad():
        results = model.test_step(stream_batch((0, 'a', 0), (1, 'a', 1), size=size))
    assert [r.pred_sem_seg.data.shape for r in results] == [(1, *size)] * 2
    assert results[1].offset == 1
    _, loss = step(model.train(), is_same=(False, False))
    assert torch.isfinite(loss)


def test_labels_without_scores():
    """Equal labels but for ties; scaled and padded frames are left to mmseg."""
    full, lean = build('bisenetv2').eval(), build('bisenetv2', labels_only=True).eval()
    frames = [(0, 'a', 0), (1, 'a', 1)]
    with torch.no_grad():
        expected = full.test_step(stream_batch(*frames))
        found = lean.test_step(stream_batch(*frames))
        scaled = stream_batch((0, 'b', 0))
        scaled['data_samples'][0].set_metainfo(dict(ori_shape=(64, 96)))
        (small,) = lean.test_step(scaled)
    for one, other in zip(found, expected, strict=True):
        assert 'seg_logits' not in one
        same = one.pred_sem_seg.data == other.pred_sem_seg.data
        assert same.float().mean() > 0.999
    assert small.pred_sem_seg.data.shape == (1, 64, 96) and 'seg_logits' in small
    head = lean.segmentor.decode_head
    assert 'predict_by_feat' not in vars(head)  # the model is as it was
    assert 'postprocess_result' not in vars(lean.segmentor)
