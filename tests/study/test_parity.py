"""The stock config with the authors' weights gives the authors' numbers."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mxnet_files import authors_arrays, parity_folder, write_params
from released_models import CONFIG
from released_network import ReleasedNetwork

from dff.converters.weights.mxnet_convert import convert_arrays, convert_file
from dff.converters.weights.mxnet_params import read_mxnet_params
from dff_study import parity

ROOT = Path(__file__).resolve().parents[2]
MODEL = Config.fromfile(CONFIG).model


@pytest.fixture(scope='module')
def folder(dff_data):
    return parity_folder(dff_data)


@pytest.fixture(scope='module')
def arrays(folder):
    return authors_arrays(folder)


@pytest.fixture(scope='module')
def model(arrays, tmp_path_factory):
    """The stock model, its weights through a file of 2017 and a checkpoint."""
    place = tmp_path_factory.mktemp('weights')
    params, out = place / 'authors.params', place / 'authors.pth'
    write_params(params, arrays, 0)
    done = convert_file(params, out, CONFIG)
    params.unlink()
    assert done.part == 'video'
    model = parity.load_model(CONFIG, out)
    out.unlink()
    return model


@pytest.fixture(scope='module')
def oracle(folder):
    return parity.read_oracle(folder / 'parity_122x165.npz')


def assert_parity(rows):
    assert [row.name for row in rows] == list(parity.OUTPUTS)
    assert all(row.largest > 0 for row in rows)
    assert all(row.is_close for row in rows), '\n' + parity.table(rows)
    # Far below the limit: only the order of additions differs.
    assert all(row.ratio < 2e-5 for row in rows), '\n' + parity.table(rows)


def test_it_gives_the_numbers_of_the_authors_network(model, oracle):
    rows = parity.compare(model, oracle)
    print('\n' + parity.table(rows))
    assert_parity(rows)


def test_the_present_format_gives_the_same_weights(model, arrays, tmp_path):
    path = write_params(tmp_path / 'authors.params', arrays, 2)
    state = convert_arrays(read_mxnet_params(path), MODEL).state_dict
    own = model.state_dict()
    assert set(state) == set(own)
    assert all(torch.equal(state[key], own[key]) for key in own)


def test_a_stream_goes_the_same_way(model, oracle):
    """What users run: two frames of a video, pre-processed and predicted in order."""
    key, cur = (
        parity.loaded_frames(oracle[name], model)[0]
        for name in ('data_key', 'data_cur')
    )
    samples = []
    for frame_id, frame in enumerate((key, cur)):
        meta = dict(img_shape=tuple(frame.shape[1:]), ori_shape=tuple(frame.shape[1:]))
        meta.update(scale_factor=(1.0, 1.0), video_id=0, frame_id=frame_id)
        samples.append(DetDataSample(metainfo=meta))
    model.reset_stream()
    with torch.no_grad():
        results = model.test_step(dict(inputs=[key, cur], data_samples=samples))
    assert [r.is_key_frame for r in results] == [True, False]
    assert all(len(r.pred_instances) for r in results)
    for name, ours in (
        ('key_feats', model.stream.key_feats[0].maps[0]),
        ('flow', model.stream.flow),
    ):
        theirs = torch.from_numpy(oracle[name])
        assert (ours - theirs).abs().max() <= 1e-3 * theirs.abs().max(), name
    model.reset_stream()


def frames(height, width, seed):
    """A coarse pattern, moved by some pixels: RGB minus the means."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(-100, 130, (1, 3, 5, 7))).float()
    size = (height + 16, width + 16)
    image = torch.nn.functional.interpolate(coarse, size, mode='bicubic')
    image = image + torch.from_numpy(rng.normal(0, 10, image.shape)).float()
    key, cur = image[..., 8:-8, 8:-8], image[..., 5:-11, 12:-4]
    return [x.numpy().copy() for x in (key, cur)]


def rois(height, width):
    """The whole frame, halves to round, a part outside, one cell, beyond the corner."""
    w, h = width - 1, height - 1
    return np.float32(
        [
            [0, 0, 0, w, h],
            [0, 7.5, 3.5, w * 0.6, h * 0.5],
            [0, -9.5, h * 0.3, w * 0.4, h + 20],
            [0, w / 2, h / 2, w / 2, h / 2],
            [0, w + 40, h + 40, w + 60, h + 60],
        ]
    )


def test_the_reference_of_these_tests_is_the_authors_network(arrays, oracle):
    names = ('data_key', 'data_cur', 'rois')
    found = ReleasedNetwork(arrays)(*(oracle[name] for name in names))
    for name in parity.OUTPUTS:
        limit = 2e-5 * np.abs(oracle[name]).max()
        assert np.abs(found[name] - oracle[name]).max() <= limit, name


@pytest.mark.parametrize('size', [(64, 128), (81, 113), (113, 66), (150, 49), (33, 17)])
def test_other_sizes(model, arrays, size):
    """Sizes that 64 divides, and that neither 16 nor 2 does; nothing is padded."""
    reference = ReleasedNetwork(arrays)(*frames(*size, seed=1), rois(*size))
    cells = tuple(-(-side // 16) for side in size)
    assert reference['flow'].shape[2:] == reference['key_feats'].shape[2:] == cells
    assert_parity(parity.compare(model, reference))


def test_other_weights(model, arrays, folder):
    other = authors_arrays(folder, seed='another')
    assert (other['arg:conv2_weight'] != arrays['arg:conv2_weight']).all()
    size = (97, 130)
    reference = ReleasedNetwork(other)(*frames(*size, seed=2), rois(*size))
    try:
        model.load_state_dict(convert_arrays(other, MODEL).state_dict)
        assert_parity(parity.compare(model, reference))
    finally:
        model.load_state_dict(convert_arrays(arrays, MODEL).state_dict)


def test_a_difference_is_seen(model, oracle):
    """Exchanged frames, another order of classes, nan."""
    exchanged = dict(oracle, data_key=oracle['data_cur'], data_cur=oracle['data_key'])
    rows = {row.name: row for row in parity.compare(model, exchanged)}
    assert not any(row.is_close for row in rows.values())
    wrong = dict(oracle, ps_cls=np.roll(oracle['ps_cls'], 1, axis=1))
    wrong['rpn_cls_score'] = np.roll(oracle['rpn_cls_score'], 9, axis=1)
    wrong['flow'] = oracle['flow'][:, ::-1]
    wrong['scale'] = np.full_like(oracle['scale'], np.nan)
    far = [row.name for row in parity.compare(model, wrong) if not row.is_close]
    assert far == ['flow', 'scale', 'rpn_cls_score', 'ps_cls']
    with pytest.raises(ValueError, match=r'warped must be \(1, 4, 8, 11\), got'):
        parity.compare(model, dict(oracle, warped=oracle['warped'][:, :4]))


def test_files_that_are_no_oracle(tmp_path, oracle):
    path = tmp_path / 'oracle.npz'
    with pytest.raises(FileNotFoundError, match=r'oracle\.npz does not exist'):
        parity.read_oracle(path)
    path.write_bytes(b'PK\3\4 and nothing else')
    with pytest.raises(ValueError, match=r'oracle\.npz is not an \.npz file'):
        parity.read_oracle(path)
    small = dict.fromkeys((*parity.INPUTS, *parity.OUTPUTS), np.zeros(3))
    np.savez(path, **{k: v for k, v in small.items() if k != 'flow'})
    with pytest.raises(ValueError, match=r"must have arrays \['flow'\]"):
        parity.read_oracle(path)
    np.savez(path, **small)
    with pytest.raises(ValueError, match=r'must both be \(N, 3, H, W\), got \(3,\)'):
        parity.read_oracle(path)


def test_the_command(folder, monkeypatch, capsys):
    tool = ROOT / 'tools/study/check_parity.py'
    files = [folder / 'parity_122x165.npz', folder / 'authors_weights.py']
    command = [tool, files[0], '--weights', files[1]]
    monkeypatch.setattr('sys.argv', [str(word) for word in command])
    monkeypatch.setattr('sys.dont_write_bytecode', True)
    runpy.run_path(str(tool), run_name='__main__')
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:-1]] == list(parity.OUTPUTS)
    assert lines[-1] == 'all within 0.001'
    monkeypatch.setattr('sys.argv', [*map(str, command[:-1]), 'none.params'])
    with pytest.raises(SystemExit, match='error: none.params does not exist'):
        runpy.run_path(str(tool), run_name='__main__')
