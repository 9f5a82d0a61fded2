"""What wrapping a stock image config would give, at every split."""

import pytest
import segmentors_under_test as segmentors
from mmengine.config import Config

from dff.cost.split_report import describe_splits, format_splits


@pytest.fixture
def stock_config(tmp_path):
    model = segmentors.stock('fcn')
    path = tmp_path / 'fcn.py'
    Config(dict(default_scope='mmseg', model=model)).dump(path)
    return path


@pytest.mark.filterwarnings('ignore')
def test_every_split_of_a_segmentor(stock_config):
    rows = describe_splits(stock_config, (128, 192), 10)
    assert list(rows) == ['backbone', 'last', 'scores', 'auto']
    assert rows['auto'] == rows['scores']
    total = {row['n_feat'] + row['n_task'] for row in rows.values()}
    assert len(total) == 1  # the split moves layers, and counts none twice
    cells = 16 * 24
    assert rows['last']['n_task'] == cells * 512 * 19  # the 1x1 classifier
    assert rows['scores']['n_task'] == 0 and rows['scores']['free'] == 10
    assert rows['last']['propagated'] == [(8, 512)]
    assert rows['scores']['propagated'] == [(8, 19)]
    assert rows['backbone']['free'] < rows['last']['free'] < 10
    assert all(row['flownet'] < row['free'] for row in rows.values())
    text = format_splits(rows, size=(128, 192), interval=10)
    assert '19@8' in text and text.count('\n') == 7


def test_no_such_config(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.py does not exist'):
        describe_splits(tmp_path / 'none.py', (64, 64), 10)
