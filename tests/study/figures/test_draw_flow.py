"""The picture of flows, on pairs whose flow is written here."""

import cv2
import numpy as np
import pytest

import dff  # noqa: F401  (registers the classes)
from dff.datasets.flow.flo import write_flo
from dff_study.figures.draw_flow import FlowModel, save_flow_picture
from dff_study.reports.runs import read_rows

HEIGHT, WIDTH = 64, 96
FLOWS = [(3.0, 4.0), (-12.0, 0.0)]


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / 'pairs'
    folder.mkdir()
    for index, flow in enumerate(FLOWS):
        image = np.full((HEIGHT, WIDTH, 3), 50 * index + 40, np.uint8)
        for name in ('img1', 'img2'):
            cv2.imwrite(str(folder / f'{index}_{name}.png'), image)
        field = np.broadcast_to(np.float32(flow), (HEIGHT, WIDTH, 2))
        write_flo(folder / f'{index}_flow.flo', field)
    path = tmp_path / 'zero.py'
    path.write_text(
        "model = dict(type='FlowPretrainer', "
        "flow_estimator=dict(type='ZeroFlow', strides=(8,)))\n"
        'test_dataloader = dict(dataset=dict('
        f"type='FlowPairDataset', data_root='{folder}'))\n"
    )
    return str(path)


def test_errors_and_colours_of_zero_flow(config, tmp_path):
    """No flow is wrong by the length of the true one, and is white."""
    out = tmp_path / 'flow.png'
    model = FlowModel('zero', config, None)
    table = save_flow_picture([model], out=out, pairs=[1, 0], panel_width=WIDTH)
    assert read_rows(table)[1:] == [['1', '12.00'], ['0', '5.00']]
    picture = cv2.imread(str(out))
    first, second = (
        picture[picture.shape[0] - HEIGHT - offset :][:HEIGHT].reshape(HEIGHT, -1, 3)
        for offset in ((picture.shape[0]) // 2, 0)
    )
    left = WIDTH // 2, WIDTH + 4 + WIDTH // 2, 2 * (WIDTH + 4) + WIDTH // 2
    for row, gray in ((first, 90), (second, 40)):
        image, true, zero = (row[HEIGHT // 2, x].astype(int) for x in left)
        assert image.tolist() == [gray] * 3
        assert zero.tolist() == [255] * 3
        assert true.min() < 120  # the longest true flow is in full colour
    # on the wheel, left is cyan, right and down is from red to yellow
    blue, green, red = first[HEIGHT // 2, left[1]].astype(int)
    assert min(blue, green) > red + 100
    blue, green, red = second[HEIGHT // 2, left[1]].astype(int)
    assert red > green > blue


def test_what_cannot_be_drawn_is_named(config, tmp_path):
    model = FlowModel('zero', config, None)
    with pytest.raises(ValueError, match=r'pairs must be in 0 to 1, got \[2\]'):
        save_flow_picture([model], out=tmp_path / 'flow.png', pairs=[0, 2])
    with pytest.raises(ValueError, match='must end in one of'):
        save_flow_picture([model], out=tmp_path / 'flow.txt')
    with pytest.raises(ValueError, match='at least one entry'):
        save_flow_picture([], out=tmp_path / 'flow.png')
    assert not list(tmp_path.glob('flow*'))
