"""The official split of Flying Chairs."""

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS

import dff  # noqa: F401
from dff.datasets.flow.flo import write_flo


@pytest.fixture
def chairs(tmp_path):
    folder = tmp_path / 'data'
    folder.mkdir()
    for number in range(1, 5):
        for mark, value in (('img1', number), ('img2', 100 + number)):
            image = np.full((4, 6, 3), value, np.uint8)
            cv2.imwrite(str(folder / f'{number:05d}_{mark}.ppm'), image)
        flow = np.full((4, 6, 2), number, np.float32)
        write_flo(folder / f'{number:05d}_flow.flo', flow)
    return tmp_path


def build(root, lines=None, **options):
    if lines is not None:
        options['split_file'] = str(root / 'FlyingChairs_train_val.txt')
        (root / 'FlyingChairs_train_val.txt').write_text(lines)
    cfg = dict(type='FlyingChairs', data_root=str(root / 'data'), **options)
    return DATASETS.build(cfg)


def numbers(data):
    return [int(pair[0].name[:5]) for pair in data.pairs]


def test_the_split_file_says_which_pairs(chairs):
    assert numbers(build(chairs)) == [1, 2, 3, 4]
    lines = '1\n2\n1\n1\n'
    assert numbers(build(chairs, lines, split='train')) == [1, 3, 4]
    val = build(chairs, lines.replace('\n', '\r\n'), split='val')
    assert numbers(val) == [2] and len(val) == 1
    inputs, sample = val[0]['inputs'], val[0]['data_samples']
    assert inputs['cur'][0, 0, 0] == 2 and inputs['key'][0, 0, 0] == 102
    assert (sample.gt_flow.data == 2).all()
    assert sample.img_path.endswith('00002_img1.ppm')
    assert sample.key_path.endswith('00002_img2.ppm')


def test_what_cannot_be(chairs):
    with pytest.raises(ValueError, match='line for each of the 4 pairs .* got 3'):
        build(chairs, '1\n2\n1\n', split='train')
    with pytest.raises(ValueError, match=r"lines of 1 .* got \['0', 'x'\]"):
        build(chairs, '1\n0\n1\nx\n', split='train')
    with pytest.raises(ValueError, match='must be set together'):
        build(chairs, split='val')
    with pytest.raises(ValueError, match='must be set together'):
        build(chairs, '1\n1\n1\n1\n')
    with pytest.raises(ValueError, match="split must be one of .* got 'test'"):
        build(chairs, '1\n1\n1\n1\n', split='test')
    with pytest.raises(FileNotFoundError, match='split_file .* does not exist'):
        build(chairs, split='val', split_file=str(chairs / 'none.txt'))
