"""Files that are cut off, altered or of another kind are refused by their name."""

import pytest
import torch

from dff.checkpoint import read_checkpoint

CONTENT = dict(state_dict=dict(weight=torch.arange(3.0)), meta=dict(evil=1))


@pytest.mark.parametrize('is_zip', [True, False])
def test_files_cut_off_anywhere_are_named(tmp_path, is_zip):
    whole, half = tmp_path / 'whole.pth', tmp_path / 'half.pth'
    torch.save(CONTENT, whole, _use_new_zipfile_serialization=is_zip)
    content = whole.read_bytes()
    for length in [*range(0, len(content), max(1, len(content) // 40))]:
        half.write_bytes(content[:length])
        with pytest.raises(ValueError, match='half.pth is cut off'):
            read_checkpoint(half)


@pytest.mark.parametrize(
    'content', [b'', b'text', b'\x80\x02}.', b'PK\x03\x04 no archive', b'{"a": 1}']
)
def test_foreign_files_are_named(tmp_path, content):
    path = tmp_path / 'foreign.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='foreign.pth is cut off, damaged or not of'):
        read_checkpoint(path)


def test_a_flipped_byte_of_the_weights_is_noticed(tmp_path):
    path = tmp_path / 'flipped.pth'
    torch.save(CONTENT, path)
    content = bytearray(path.read_bytes())
    place = content.index(torch.arange(3.0).numpy().tobytes())
    content[place + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match='flipped.pth'):
        read_checkpoint(path)
