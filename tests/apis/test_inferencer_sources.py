"""What the inferencer makes of frames with times, gaps and damage."""

import numpy as np
import pytest
import torch
from make_video import damage_packet, noise_pictures, write_video
from mmengine.config import Config
from torch import nn

import dff  # noqa: F401
from dff.apis import VideoInferencer, open_frames
from dff.models.wrap import wrap_config

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='PackSegInputs'),
]
SEGMENTOR = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', bgr_to_rgb=True),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=4,
        stem_channels=4,
        strides=(1, 2, 2, 1),
        out_indices=(3,),
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=32,
        channels=32,
        in_index=0,
        num_convs=0,
        concat_input=False,
        num_classes=3,
    ),
    test_cfg=dict(mode='whole'),
)


@pytest.fixture(scope='module')
def inferencer():
    dataset = dict(type='BaseSegDataset', pipeline=PIPELINE)
    cfg = Config(
        dict(
            default_scope='mmseg',
            model=wrap_config(SEGMENTOR, 'mmseg'),
            test_dataloader=dict(dataset=dataset),
        )
    )
    torch.manual_seed(0)
    inferencer = VideoInferencer(cfg, interval=10)
    inferencer.model.cut_detector = None  # each picture of noise would be a cut
    for module in inferencer.model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.requires_grad:
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
    return inferencer


@pytest.fixture
def clip(tmp_path):
    options = dict(codec='mjpeg', pix_fmt='yuvj420p', fps=5)
    return write_video(tmp_path / 'a.avi', noise_pictures(14), **options)


def test_samples_carry_the_time(inferencer, clip):
    samples = list(inferencer(clip))
    times = [sample.time for sample in samples]
    np.testing.assert_allclose(times, np.arange(14) / 5, atol=0.002)
    assert [sample.frame_id for sample in samples] == list(range(14))
    assert not any(sample.is_damaged for sample in samples)


def test_stride_counts_delivered_frames(inferencer, clip):
    samples = list(inferencer(clip, start=1, stride=3))
    assert [sample.offset for sample in samples] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([s.time for s in samples], [0.2, 0.8, 1.4, 2.0, 2.6])


@pytest.mark.parametrize(
    ('kind', 'part'), [('concealed', (0, 0.3)), ('lost', (0.5, 0.9))]
)
def test_damage_starts_a_key_frame(inferencer, clip, kind, part):
    """From there on the results are those of a video that starts there."""
    damage_packet(clip, 4, clip, part=part)
    source = open_frames(clip)
    samples = list(inferencer(source))
    is_concealed = kind == 'concealed'
    assert [(d.number, d.kind) for d in source.damage] == [(4, kind)]
    numbers = [sample.frame_id for sample in samples]
    assert numbers == [n for n in range(14) if is_concealed or n != 4]
    keys = [sample.frame_id for sample in samples if sample.is_key_frame]
    assert keys == ([0, 4, 5] if is_concealed else [0, 5])
    assert [s.frame_id for s in samples if s.is_damaged] == [4] * is_concealed
    after = samples[5 if is_concealed else 4 :]
    for sample, alone in zip(after, inferencer(clip, start=5), strict=True):
        assert torch.equal(sample.seg_logits.data, alone.seg_logits.data)
    with pytest.raises(ValueError, match=r'a\.avi: frame 4 \(0\.80 s\)'):
        list(inferencer(clip, on_damage='raise'))
