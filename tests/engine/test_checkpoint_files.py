"""Checkpoints are written whole, and only whole ones are resumed from."""

import os
from types import SimpleNamespace

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.runner import save_checkpoint

from dff.engine import AtomicCheckpointHook
from dff.engine.checkpoint_files import (
    AtomicLocalBackend,
    find_complete_checkpoint,
    is_complete,
)


def test_a_file_cut_off_at_any_byte_is_not_complete(tmp_path):
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(state_dict=dict(a=torch.arange(9.0)), meta=dict(iter=1)), path)
    whole = path.read_bytes()
    assert is_complete(path)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert not is_complete(path), size
    broken = bytearray(whole)
    place = whole.index(torch.arange(9.0).numpy().tobytes()) + 7
    broken[place] ^= 1  # the length is right
    path.write_bytes(broken)
    assert not is_complete(path)


def test_the_newest_complete_one_is_found(tmp_path):
    assert find_complete_checkpoint(tmp_path / 'nowhere') is None
    for number in (1, 2, 3):
        path = tmp_path / f'iter_{number}.pth'
        torch.save({}, path)
        os.utime(path, (number, number))
    torch.save({}, tmp_path / 'best_AP.pth')  # is no state to go on from
    torch.save({}, tmp_path / '.iter_4.x.pth')
    assert find_complete_checkpoint(tmp_path).name == 'iter_3.pth'
    for text, name in (
        (str(tmp_path / 'iter_2.pth'), 'iter_2.pth'),
        ('/moved/elsewhere/iter_1.pth', 'iter_1.pth'),
        ('/moved/els', 'iter_3.pth'),
        ('', 'iter_3.pth'),
    ):
        (tmp_path / 'last_checkpoint').write_text(text)
        assert find_complete_checkpoint(tmp_path).name == name
    (tmp_path / 'last_checkpoint').write_text('iter_3.pth')
    (tmp_path / 'iter_3.pth').write_bytes(b'PK')
    assert find_complete_checkpoint(tmp_path).name == 'iter_2.pth'


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize('error', [Killed(), OSError(28, 'No space left on device')])
def test_a_save_that_stops_halfway_leaves_the_old_checkpoint(
    tmp_path, monkeypatch, error
):
    path = tmp_path / 'iter_1.pth'
    options = dict(backend_args=AtomicCheckpointHook().backend_args)
    save_checkpoint(dict(step=1), str(path), **options)

    def write_half(self, obj, filepath):
        with open(filepath, 'wb') as file:
            file.write(obj[: len(obj) // 2])
        raise error

    monkeypatch.setattr(LocalBackend, 'put', write_half)
    with pytest.raises(type(error)):
        save_checkpoint(dict(step=2), str(path), **options)
    assert torch.load(path) == dict(step=1)
    assert os.listdir(tmp_path) == ['iter_1.pth']


def test_text_is_written_at_once(tmp_path):
    AtomicLocalBackend().put_text('ä', tmp_path / 'new' / 'a.txt')
    assert (tmp_path / 'new' / 'a.txt').read_text('utf-8') == 'ä'
    assert os.listdir(tmp_path / 'new') == ['a.txt']


def test_the_published_checkpoint_is_written_by_the_same_backend(tmp_path, monkeypatch):
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(2)), optimizer={}), path)
    hook = AtomicCheckpointHook(published_keys='state_dict')
    hook.last_ckpt = str(path)
    written = []
    put = AtomicLocalBackend.put
    monkeypatch.setattr(
        AtomicLocalBackend,
        'put',
        lambda self, obj, name: (written.append(name), put(self, obj, name)),
    )
    hook.after_train(SimpleNamespace())
    (published,) = written
    assert torch.load(published).keys() == {'state_dict'}
    assert (
        published.startswith(f'{tmp_path}/iter_1-') and len(os.listdir(tmp_path)) == 2
    )
