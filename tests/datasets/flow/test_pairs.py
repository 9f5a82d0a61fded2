"""Folders of pairs with flow, and what is wrong with them."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS

from dff.datasets import FlowPairDataset
from dff.datasets.flow.flo import write_flo


def write_pair(folder, name, size=(4, 6), suffix='ppm'):
    """Write cur, all 10, key, all 20, blue one more, and a flow of (x, -y)."""
    folder.mkdir(parents=True, exist_ok=True)
    for mark, value in (('img1', 10), ('img2', 20)):
        image = np.full((*size, 3), value, np.uint8)
        image[..., 0] += 1
        cv2.imwrite(str(folder / f'{name}_{mark}.{suffix}'), image)
    rows, columns = np.mgrid[: size[0], : size[1]]
    flow = np.stack([columns, -rows], -1).astype(np.float32)
    write_flo(folder / f'{name}_flow.flo', flow)


def test_an_item_is_what_the_files_say(tmp_path):
    write_pair(tmp_path, 'b', suffix='png')
    write_pair(tmp_path, 'a', size=(3, 5))
    data = DATASETS.build(dict(type='FlowPairDataset', data_root=str(tmp_path)))
    assert len(data) == 2
    item, sample = data[1], data[1]['data_samples']
    cur, key = (item['inputs'][name] for name in ('cur', 'key'))
    assert cur.dtype == key.dtype == torch.uint8 and cur.shape == (3, 4, 6)
    assert cur[:, 0, 0].tolist() == [11, 10, 10] and key[2, 3, 5] == 20  # BGR
    flow = sample.gt_flow.data
    assert flow.shape == (2, 4, 6)
    assert flow[:, 3, 5].tolist() == [5, -3] and flow[:, 0, 2].tolist() == [2, 0]
    assert sample.img_path.endswith('b_img1.png') and sample.img_shape == (4, 6)
    assert sample.key_path.endswith('b_img2.png')
    assert data[0]['data_samples'].img_shape == (3, 5)


def test_unknown_pixels_become_nan(tmp_path):
    write_pair(tmp_path, 'a')
    flow = np.ones((4, 6, 2), np.float32)
    flow[1, 2, 0], flow[2, 3, 1], flow[0, 0] = 1.6e9, -1.6e9, np.nan
    write_flo(tmp_path / 'a_flow.flo', flow)
    found = FlowPairDataset(str(tmp_path))[0]['data_samples'].gt_flow.data
    unknown = found.isnan().all(dim=0)
    assert torch.equal(unknown, found.isnan().any(dim=0))
    assert unknown.nonzero().tolist() == [[0, 0], [1, 2], [2, 3]]


def test_named_pairs_and_augmented_ones(tmp_path):
    write_pair(tmp_path, 'a', size=(40, 60))
    names = [('a_img2.ppm', 'a_img1.ppm', 'a_flow.flo')]
    data = FlowPairDataset(
        str(tmp_path), pairs=names, augmentation=dict(crop_size=(24, 32), colour={})
    )
    item = data[0]
    assert item['inputs']['cur'].shape == (3, 24, 32)
    assert item['data_samples'].gt_flow.data.shape == (2, 24, 32)
    assert item['data_samples'].img_shape == (24, 32)
    plain = FlowPairDataset(str(tmp_path), pairs=names)[0]
    assert plain['inputs']['cur'][1, 0, 0] == 20


def test_what_cannot_be(tmp_path):
    with pytest.raises(FileNotFoundError, match='must contain files NAME_img1'):
        FlowPairDataset(str(tmp_path))
    with pytest.raises(ValueError, match=r'must be \(cur, key, flow\), got'):
        FlowPairDataset(str(tmp_path), pairs=[('a', 'b')])
    write_pair(tmp_path, 'a')
    (tmp_path / 'a_img2.ppm').rename(tmp_path / 'kept')
    with pytest.raises(FileNotFoundError, match='a_img1.ppm has no a_img2.ppm'):
        FlowPairDataset(str(tmp_path))
    (tmp_path / 'kept').rename(tmp_path / 'a_img2.ppm')
    write_flo(tmp_path / 'a_flow.flo', np.zeros((4, 7, 2)))
    with pytest.raises(ValueError, match=r'must have one size, got .*\(4, 7\)'):
        FlowPairDataset(str(tmp_path))[0]
    (tmp_path / 'a_img1.ppm').write_bytes(b'P6 no')
    with pytest.raises(FileNotFoundError, match='a_img1.ppm does not exist or is not'):
        FlowPairDataset(str(tmp_path))[0]


def test_flow_of_real_pairs_finds_cur_in_key(dff_data):
    """Key read where the flow points is closer to cur than key as it is."""
    sets = [
        FlowPairDataset(str(dff_data / 'flow' / 'FlyingChairs_sample')),
        FlowPairDataset(
            str(dff_data / 'flow' / 'Middlebury'),
            pairs=[('rubberwhale1.png', 'rubberwhale2.png', 'flow10.flo')],
        ),
    ]
    assert [len(data) for data in sets] == [9, 1]
    for data in sets:
        item = data[0]
        cur, key = (item['inputs'][n].permute(1, 2, 0).numpy() for n in ('cur', 'key'))
        flow = item['data_samples'].gt_flow.data.permute(1, 2, 0).numpy()
        known = np.isfinite(flow).all(axis=-1)
        assert known.mean() > 0.95
        rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]]
        where = np.stack([columns, rows], -1) + np.nan_to_num(flow)
        seen = cv2.remap(key, where.astype(np.float32), None, cv2.INTER_LINEAR)
        errors = [np.abs(a.astype(float) - cur)[known].mean() for a in (seen, key)]
        assert errors[0] < 0.6 * errors[1]
