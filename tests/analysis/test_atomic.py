"""Result files appear whole or not at all."""

import json

import pytest

from dff.analysis.atomic import write_atomically, write_json


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'curve.png'
    path.write_text('old')
    with pytest.raises(KeyboardInterrupt), write_atomically(path) as temporary:
        temporary.write_text('half')
        assert path.read_text() == 'old' and temporary.suffix == '.png'
        raise KeyboardInterrupt
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_json_is_standard(tmp_path):
    path = tmp_path / 'deep' / 'figures.json'
    write_json({3: (1.5, float('nan')), 'ceiling': float('inf')}, path)
    text = path.read_text()
    assert json.loads(text) == {'3': [1.5, None], 'ceiling': None}
    assert 'NaN' not in text and list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o600 == 0o600
