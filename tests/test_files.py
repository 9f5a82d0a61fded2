"""Files and folders appear whole or not at all."""

import json

import pytest

from dff.files import (
    remove_new_files_on_error,
    write_atomically,
    write_folder_atomically,
    write_json,
)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'curve.png'
    path.write_text('old')
    with pytest.raises(KeyboardInterrupt), write_atomically(path) as temporary:
        temporary.write_text('half')
        assert path.read_text() == 'old' and temporary.suffix == '.png'
        raise KeyboardInterrupt
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_with_all_of_its_files(tmp_path):
    folder = tmp_path / 'deep' / 'frames'
    with write_folder_atomically(folder) as temporary:
        (temporary / '1.jpg').touch()
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ['1.jpg']
    assert folder.stat().st_mode & 0o700 == 0o700
    with pytest.raises(OSError, match='not empty'):
        with write_folder_atomically(folder):
            pass
    with pytest.raises(KeyboardInterrupt):
        with write_folder_atomically(tmp_path / 'other') as temporary:
            (temporary / '1.jpg').touch()
            raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ['deep']
    assert [path.name for path in folder.parent.iterdir()] == ['frames']


def test_what_a_failure_has_added_is_removed(tmp_path):
    """Files of others, and what a link points to, stay."""
    source, old, new = (tmp_path / name for name in ('source', 'old', 'new'))
    for folder in (source, old):
        folder.mkdir()
        (folder / '1.jpg').touch()
    with pytest.raises(KeyError), remove_new_files_on_error(old, new):
        (old / 'deep' / 'er').mkdir(parents=True)
        (old / 'deep' / 'er' / '2.jpg').touch()
        new.mkdir()
        (new / 'link').symlink_to(source, target_is_directory=True)
        raise KeyError
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*'))
    assert left == ['old', 'old/1.jpg', 'source', 'source/1.jpg']
    with remove_new_files_on_error(old):
        (old / '2.jpg').touch()
    assert (old / '2.jpg').is_file()


def test_json_is_standard(tmp_path):
    path = tmp_path / 'deep' / 'figures.json'
    write_json({3: (1.5, float('nan')), 'ceiling': float('inf')}, path)
    text = path.read_text()
    assert json.loads(text) == {'3': [1.5, None], 'ceiling': None}
    assert 'NaN' not in text and list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o600 == 0o600
