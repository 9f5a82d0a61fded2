"""Which checkpoints of a folder may be resumed from."""

import os

import pytest
import torch

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


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    AtomicLocalBackend().put(b'old', path)

    def fail(self, data):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('pathlib.Path.write_bytes', fail)
    with pytest.raises(OSError, match='No space left'):
        AtomicLocalBackend().put(b'new', path)
    assert [p.name for p in tmp_path.iterdir()] == ['a.pth']
    assert path.read_text() == 'old'
