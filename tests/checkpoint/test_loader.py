"""What a checkpoint holds comes back, by every way mmengine loads one."""

import collections
import copy
import os

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader, load_checkpoint, save_checkpoint
from torch import nn

from dff.checkpoint import loader, read_checkpoint

VALUES = dict(
    text='ä',
    none=None,
    numbers=[1, -(2**70), 2.5, True],
    array=np.arange(6).reshape(2, 3),
    fortran=np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    big_endian=np.arange(3).astype('>f4'),
    strings=np.array(['ab', 'c']),
    objects=np.array([1, None, 'x'], dtype=object),
    empty=np.empty((0, 4), np.float32),
    float64=np.float64(3.5),
    int64=np.int64(4),
    bool_=np.bool_(True),
    nested=(1, [2, {3: (4,)}]),
    counter=collections.Counter([8, 8, 11]),
    ordered=collections.OrderedDict(b=1, a=2),
    sets=({1, 2}, frozenset([3])),
    complex=1 + 2j,
    bytes=(b'x\xff', bytearray(b'y\xfe')),
    size=torch.Size([3, 4]),
    dtype=torch.bfloat16,
    device=torch.device('cpu'),
)
TENSORS = dict(
    half=torch.rand(3).half(),
    bfloat16=torch.rand(3).bfloat16(),
    double=torch.rand(2, 3, dtype=torch.float64),
    bool_=torch.tensor([True, False]),
    complex=torch.rand(2, dtype=torch.complex64),
    scalar=torch.tensor(7),
    empty=torch.empty(0, 3),
    transposed=torch.rand(3, 4).t(),
    strided=torch.arange(24.0).view(4, 6)[1:, ::2],
    expanded=torch.rand(1).expand(3),
    channels_last=torch.rand(1, 2, 3, 4).to(memory_format=torch.channels_last),
)


def save(content, path, is_zip, protocol):
    torch.save(
        content,
        path,
        _use_new_zipfile_serialization=is_zip,
        pickle_protocol=protocol,
    )


@pytest.mark.parametrize('is_zip', [True, False])
@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_plain_values_and_tensors_come_back(tmp_path, is_zip, protocol):
    path = tmp_path / 'a.pth'
    trained = nn.Parameter(torch.rand(3), requires_grad=True)
    uint16 = torch.tensor([1, 65535], dtype=torch.uint16)
    tensors = dict(TENSORS, parameter=trained, uint16=uint16)
    save(dict(values=VALUES, tensors=tensors), path, is_zip, protocol)
    found = read_checkpoint(path)
    for name, value in VALUES.items():
        assert type(found['values'][name]) is type(value), name
        np.testing.assert_equal(found['values'][name], value)
    assert list(found['values']['ordered']) == ['b', 'a']
    for name, tensor in tensors.items():
        ours = found['tensors'][name]
        assert torch.equal(ours, tensor) and ours.dtype == tensor.dtype, name
        assert ours.stride() == tensor.stride(), name
    assert isinstance(found['tensors']['parameter'], nn.Parameter)


@pytest.mark.parametrize('is_zip', [True, False])
def test_shared_memory_stays_shared(tmp_path, is_zip):
    weight = torch.arange(12.0).view(3, 4)
    row = weight[1]
    save(dict(weight=weight, row=row, again=weight), tmp_path / 'a.pth', is_zip, 2)
    found = read_checkpoint(tmp_path / 'a.pth')
    assert found['again'] is found['weight']
    found['weight'][1, 2] = -1
    assert found['row'].tolist() == [4, 5, -1, 7]


def test_the_device_is_chosen_like_in_torch_load(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(a=torch.arange(3.0)), path)
    assert read_checkpoint(path, 'meta')['a'].device.type == 'meta'
    assert read_checkpoint(path, torch.device('cpu'))['a'].tolist() == [0, 1, 2]
    assert read_checkpoint(path, {'cpu': 'meta'})['a'].device.type == 'meta'
    seen = []
    read_checkpoint(path, lambda storage, place: seen.append(place))
    assert seen == ['cpu']


def test_logs_optimizer_and_versions_come_back(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.rand(1, 3, 4, 4)).sum().backward()
    optimizer.step()
    logs = HistoryBuffer([1.0, 3.0], [1, 1])
    content = dict(state_dict=model.state_dict(), optimizer=optimizer.state_dict(),
                   logs=logs, cfg=ConfigDict(a=[ConfigDict(b=1)]))  # fmt: skip
    save_checkpoint(content, str(tmp_path / 'a.pth'))
    found = read_checkpoint(tmp_path / 'a.pth')
    assert found['state_dict']._metadata == model.state_dict()._metadata
    assert found['cfg'] == dict(a=[dict(b=1)])
    assert found['logs'].mean() == 2 and found['logs'].statistics('max') == 3
    found['logs'].update(5.0)
    assert found['logs'].mean() == 3 and logs.mean() == 2
    twin = torch.optim.Adam(copy.deepcopy(model).parameters())
    twin.load_state_dict(found['optimizer'])
    ours, theirs = twin.state_dict()['state'], optimizer.state_dict()['state']
    for index in theirs:
        for name, value in theirs[index].items():
            assert torch.equal(ours[index][name], value)


def test_missing_files_are_named(tmp_path):
    for path in (tmp_path / 'no.pth', tmp_path):
        with pytest.raises(FileNotFoundError, match=f'{path} does not exist'):
            CheckpointLoader.load_checkpoint(str(path))


def test_every_scheme_of_mmengine_goes_through_the_reader():
    assert CheckpointLoader._schemes
    for scheme, load in CheckpointLoader._schemes.items():
        assert load.__module__ == loader.__name__, scheme


def test_downloads_go_through_the_reader(tmp_path, monkeypatch):
    model = nn.Linear(2, 3)
    weights = {f'backbone.{k}': v for k, v in model.state_dict().items()}
    torch.save(dict(state_dict=weights), tmp_path / 'x')
    calls = []

    def download(url, target, digest):
        calls.append((url, digest))
        os.link(tmp_path / 'x', target)

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    url = 'https://example.org/resnet-0123abcd.pth?raw=1'
    for _ in range(2):  # the second comes from the cache
        found = CheckpointLoader.load_checkpoint(url)
        assert torch.equal(found['state_dict']['backbone.weight'], model.weight)
    assert calls == [(url, '0123abcd')]
    monkeypatch.setattr(loader.stock, 'get_torchvision_models', lambda: dict(net=url))
    monkeypatch.setattr(loader.stock, 'get_mmcls_models', lambda: dict(net=url))
    monkeypatch.setattr(loader.stock, 'get_external_models', lambda: dict(net=url))
    for scheme in ('torchvision', 'modelzoo', 'open-mmlab', 'openmmlab'):
        found = CheckpointLoader.load_checkpoint(f'{scheme}://net')
        assert 'backbone.weight' in found['state_dict']
    assert 'weight' in CheckpointLoader.load_checkpoint('mmcls://net')['state_dict']
    with pytest.raises(ValueError, match="no model is called 'none'"):
        CheckpointLoader.load_checkpoint('torchvision://none')


def test_init_cfg_and_load_checkpoint_go_through_the_reader(tmp_path):
    marker = tmp_path / 'marker'

    class Evil:
        def __reduce__(self):
            return open, (str(marker), 'w')

    class Net(BaseModule):
        def __init__(self, init_cfg=None):
            super().__init__(init_cfg)
            self.layer = nn.Linear(2, 3)

    source, path = Net(), str(tmp_path / 'a.pth')
    torch.save(dict(state_dict=source.state_dict(), meta=dict(evil=Evil())), path)
    first = Net(dict(type='Pretrained', checkpoint=path))
    first.init_weights()
    second = Net()
    load_checkpoint(second, path)
    for net in (first, second):
        assert torch.equal(net.layer.weight, source.layer.weight)
    assert not marker.exists()
