"""Frame and a flow network that were never trained together, in one checkpoint."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from dff.converters.weights.joined import join_checkpoints

SEGMENTOR = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor'),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=8,
        stem_channels=8,
        out_indices=(3,),
        norm_cfg=dict(type='BN'),
        # never read: Frame's weights take its place
        init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth'),
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=64,
        channels=64,
        in_index=0,
        num_convs=0,
        concat_input=False,
        num_classes=3,
    ),
)


@pytest.fixture
def files(tmp_path):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    flow = MODELS.build(dict(type='FlowNetS', width=0.125, scale_channels=None))
    state = {f'flow_estimator.{k}': v + 1 for k, v in flow.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'flow.pth')
    frame = MODELS.build(SEGMENTOR)
    meta = dict(dataset_meta=dict(classes=('a', 'b', 'c')))
    torch.save(dict(state_dict=frame.state_dict(), meta=meta), tmp_path / 'frame.pth')
    estimator = dict(
        type='FlowNetS',
        width=0.125,
        strides=(32,),
        scale_channels=64,
        init_cfg=dict(
            type='Pretrained',
            checkpoint=str(tmp_path / 'flow.pth'),
            prefix='flow_estimator.',
        ),
    )
    model = dict(
        type='DFFVideoSegmentor',
        segmentor=SEGMENTOR,
        propagation=dict(type='FeaturePropagation', flow_estimator=estimator),
    )
    Config(dict(model=model, default_scope='mmseg')).dump(tmp_path / 'config.py')
    return tmp_path


def test_each_part_keeps_its_weights(files):
    out = files / 'new' / 'separate.pth'
    join_checkpoints(files / 'config.py', files / 'frame.pth', out)
    joined = torch.load(out)
    frame = torch.load(files / 'frame.pth')
    flow = torch.load(files / 'flow.pth')['state_dict']
    assert joined['meta'] == frame['meta']
    state = joined['state_dict']
    for name, value in frame['state_dict'].items():
        assert torch.equal(state.pop(f'segmentor.{name}'), value)
    for name, value in flow.items():
        assert torch.equal(state.pop(f'propagation.{name}'), value)
    assert {n.rpartition('.')[2]: v.unique().tolist() for n, v in state.items()} == {
        'weight': [0.0],
        'bias': [1.0],
    }  # the scale field is 1
    assert [path.name for path in out.parent.iterdir()] == ['separate.pth']


def test_a_checkpoint_of_another_model_is_refused(files):
    with pytest.raises(ValueError, match='checkpoint is of another model'):
        join_checkpoints(files / 'config.py', files / 'flow.pth', files / 'out.pth')
    part = torch.load(files / 'frame.pth')
    del part['state_dict']['decode_head.conv_seg.weight']
    torch.save(part, files / 'part.pth')
    with pytest.raises(ValueError, match=r'another model.*Missing: .*conv_seg'):
        join_checkpoints(files / 'config.py', files / 'part.pth', files / 'out.pth')
    with pytest.raises(FileNotFoundError, match='none.pth does not exist'):
        join_checkpoints(files / 'config.py', files / 'none.pth', files / 'out.pth')
    assert not (files / 'out.pth').exists()
