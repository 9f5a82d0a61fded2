"""Damaged checkpoints: weights, or an error that names the file."""

import random

import foreign_flownets as foreign
import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader
from mutate import mutate_bytes, mutate_value
from mxnet_files import write_params
from outcomes import SEEDS, Tally, leftovers
from torch import nn

from dff.apis.inferencer import _load_weights as load_into
from dff.checkpoint import read_checkpoint
from dff.checkpoint.weights_file import write_weights
from dff.converters.weights.caffemodel import read_caffemodel
from dff.converters.weights.flownet_sources import pytorch_names, read_flownet
from dff.converters.weights.flownet_weights import adapt_weights
from dff.converters.weights.mxnet_params import read_mxnet_params
from dff.models.flow import FlowNetS


def damage(path, read, seeds):
    content, tally = path.read_bytes(), Tally()
    for seed in seeds:
        path.write_bytes(mutate_bytes(random.Random(seed), content))
        tally.add(seed, lambda: read(path), [path])
    tally.check(path.name)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('is_zip', [True, False], ids=['zip', 'legacy'])
def test_torch(tmp_path, network, seeds, is_zip):
    path = tmp_path / 'frame.pth'
    content = dict(
        state_dict=network.state_dict(),
        meta=dict(epoch=3, dataset_meta=dict(classes=('cat',)), seed=np.int64(1)),
        optimizer=dict(state={}, param_groups=[dict(lr=0.1, betas=(0.9, 0.999))]),
    )
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)

    def read(path):
        assert isinstance(read_checkpoint(path), dict)
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
        load_into(network, str(path))

    damage(path, read, seeds)


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('version', [0, 1, 2, 3])
def test_mxnet(tmp_path, seeds, version):
    arrays = {
        'arg:conv_weight': np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
        'arg:conv_bias': np.float16([1, 2]),
        'aux:mean': np.float64([[1], [2]]),
    }
    path = write_params(tmp_path / f'v{version}.params', arrays, version)
    damage(path, lambda p: [a.sum() for a in read_mxnet_params(p).values()], seeds)


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('v1', [False, True])
@pytest.mark.parametrize('old_shape', [False, True])
def test_caffe(tmp_path, seeds, v1, old_shape):
    path = tmp_path / 'net.caffemodel'
    layers = [
        foreign.caffe_layer(
            name, [torch.randn(4, 2, 3, 1), torch.randn(4)], v1=v1, old_shape=old_shape
        )
        for name in ('conv1', 'conv2')
    ]
    path.write_bytes(b''.join(layers))

    def read(path):
        assert all(layer.blobs for layer in read_caffemodel(path))

    damage(path, read, seeds)


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('kind', ['bytes', 'values'])
def test_flownet(tmp_path, seeds, kind):
    """A slim FlowNetS by another project's names, converted."""
    path, out = tmp_path / 'flownets.pth', tmp_path / 'out' / 'flow.pth'
    ours = FlowNetS(1 / 64, scale_channels=None).state_dict()
    state = {k: ours[name] for k, name in pytorch_names().items() if name in ours}
    content = dict(state_dict=state, arch='flownets', div_flow=20)
    torch.save(content, path)
    whole, tally = path.read_bytes(), Tally()

    def convert():
        weights = read_flownet(path)
        arrays, width = adapt_weights(weights)
        write_weights(arrays, out, source=weights.source, width=width)

    for seed in seeds:
        rng = random.Random(seed)
        if kind == 'bytes':
            path.write_bytes(mutate_bytes(rng, whole))
        else:
            torch.save(mutate_value(rng, content)[0], path)
        out.unlink(missing_ok=True)
        outcome = tally.add(seed, convert, [path])
        assert out.exists() == (outcome == 'result'), f'seed {seed}: {outcome}'
        assert not leftovers(tmp_path)
    tally.check(f'FlowNetS by {kind}')
