"""The model of every shipped config: it builds, and the small ones train."""

import math

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from shipped_configs import DETECTORS, DFF, MINI, SCOPES, SEGMENTORS, build, read

import dff  # noqa: F401  (registers the classes)

STRIDES = {
    'CenterNet': [4],
    'DETR': [32],
    'DeformableDETR': [8, 16, 32, 64],
    'DINO': [8, 16, 32, 64],
}


@pytest.fixture
def plain_weights(monkeypatch):
    """Fill weights with one value: random ones are four fifths of a build's time."""
    for name in ('normal_', 'uniform_'):
        monkeypatch.setattr(torch.Tensor, name, lambda t, *_, **__: t.fill_(0.01))


@pytest.mark.usefixtures('plain_weights')
@pytest.mark.parametrize('name', DETECTORS)
def test_model_builds_and_its_strides_are_right(name):
    """Feature levels have the strides that heads and the flow network expect."""
    cfg = read(name)
    model = build(cfg).eval()
    detector = getattr(model, 'detector', model)
    # these upsample by two, so their preprocessors pad
    is_padded = type(detector).__name__ in ('CenterNet', 'RTMDet', 'YOLOX')
    assert not is_padded or detector.data_preprocessor.pad_size_divisor == 32
    size = (96, 128) if is_padded else (70, 100)
    with torch.no_grad():
        feats = detector.extract_feat(torch.zeros(1, 3, *size))
    head = getattr(detector, 'rpn_head', None) or detector.bbox_head
    if hasattr(head, 'prior_generator'):
        strides = [stride[0] for stride in head.prior_generator.strides]
    else:  # the transformers' and CenterNet's heads read what they get
        strides = STRIDES[type(detector).__name__]
    for feat, stride in zip(feats, strides, strict=True):
        assert feat.shape[2:] == tuple(math.ceil(side / stride) for side in size)
    if detector is not model:
        estimator = model.propagation.flow_estimator
        assert list(estimator.strides) == strides
        channels = cfg.model.propagation.flow_estimator.get('scale_channels')
        assert channels in (None, feats[0].shape[1])
    elif cfg.model.type == 'RFCN':
        assert detector.roi_head.spatial_scale == 1 / strides[0]


@pytest.mark.usefixtures('plain_weights')
@pytest.mark.parametrize('name', SEGMENTORS)
def test_segmentor_builds_and_its_strides_are_right(name):
    """The levels that heads read have the strides and widths of the flow network."""
    cfg = read(name)
    model = build(cfg).eval()
    if 'segmentor' not in cfg.model:
        return
    size = (70, 100)
    with torch.no_grad():
        feats = model.seam.head(torch.zeros(1, 3, *size))
    strides = model.propagation.flow_estimator.strides
    for level, feat in feats.maps.items():
        wanted = tuple(math.ceil(side / strides[level]) for side in size)
        assert feat.shape[2:] == wanted
    channels = cfg.model.propagation.flow_estimator.get('scale_channels')
    if channels is not None:
        widths = channels if isinstance(channels, list) else [channels] * len(strides)
        assert all(widths[i] == feat.shape[1] for i, feat in feats.maps.items())
    classes = {'camvid': 11, 'cityscapes': 19, 'mini': 4, 'wrapped': 19}
    head = model.segmentor.decode_head
    assert head.num_classes == classes[name.split('/')[0]]


def make_batch(is_pair, scope):
    """Return two images or pairs, 96 x 128, with a box or a label map each."""
    generator = torch.manual_seed(0)
    images = torch.randint(
        0, 256, (2, 3, 96, 128), generator=generator, dtype=torch.uint8
    )
    samples = []
    for offset in range(2):
        kind = SegDataSample if scope == 'mmseg' else DetDataSample
        sample = kind(
            metainfo=dict(
                img_shape=(96, 128),
                ori_shape=(96, 128),
                scale_factor=(1.0, 1.0),
                is_same=offset == 0,
                offset=offset,
            )
        )
        if scope == 'mmseg':
            labels = torch.randint(0, 3, (1, 96, 128), generator=generator)
            sample.gt_sem_seg = PixelData(data=labels)
        else:
            sample.gt_instances = InstanceData(
                bboxes=torch.tensor([[10.0, 10, 50, 80]]), labels=torch.tensor([0])
            )
        samples.append(sample)
    inputs = list(images)
    if is_pair:
        moved = images.roll((2, 5), dims=(2, 3))
        inputs = dict(cur=inputs, key=[images[0], moved[1]])
    return dict(inputs=inputs, data_samples=samples)


@pytest.mark.parametrize('name', MINI)
def test_mini_model_trains_two_iterations(name):
    model = build(read(name))
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], 0.01
    )
    for _ in range(2):
        batch = make_batch(name in DFF, SCOPES[name])
        batch = model.data_preprocessor(batch, training=True)
        losses = model(**batch, mode='loss')
        loss, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        assert loss.isfinite()
    for n, p in model.named_parameters():
        assert p.grad.any() if p.requires_grad else p.grad is None, n
