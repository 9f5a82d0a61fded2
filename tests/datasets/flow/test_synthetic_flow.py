"""Exact flow of moved stills, and flows chained over a video."""

import cv2
import numpy as np
import pytest
import torch
from mmseg.registry import DATASETS

import dff  # noqa: F401
from dff.datasets import ChainedFlowDataset, SyntheticMotion
from dff.datasets.random_displacement import Motion, RandomMotion

SIZE = (64, 96)
STILL = dict(shift=0.0, zoom=0.0, turn=0.0, stretch=0.0, tilt=0.0, rest=0.0)


def smooth_image(rng, size=SIZE):
    noise = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3)).astype(np.float32)
    image = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def folders(tmp_path):
    """Images whose colour tells their label, and the label maps."""
    rng = np.random.default_rng(0)
    for number in range(3):
        labels = np.kron(rng.integers(0, 4, (4, 6)), np.ones((24, 24))).astype(np.uint8)
        for name in ('images', 'labels'):
            (tmp_path / name / 'a').mkdir(parents=True, exist_ok=True)
        flat = np.repeat(labels[..., None] * 60 + 20, 3, axis=2)
        cv2.imwrite(str(tmp_path / f'images/a/{number}.png'), flat)
        cv2.imwrite(str(tmp_path / f'labels/a/{number}.png'), labels)
    smooth = tmp_path / 'smooth'
    smooth.mkdir()
    for number in range(3):
        image = smooth_image(rng, (96, 128))
        cv2.imwrite(str(smooth / f'{number}.png'), image)
    return tmp_path


def read_at(image, x, y):
    """Interpolate one pixel, by the definition; None outside."""
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    if not (0 <= x0 < image.shape[1] - 1 and 0 <= y0 < image.shape[0] - 1):
        return None
    fx, fy = x - x0, y - y0
    top = (1 - fx) * image[y0, x0] + fx * image[y0, x0 + 1]
    below = (1 - fx) * image[y0 + 1, x0] + fx * image[y0 + 1, x0 + 1]
    return (1 - fy) * top + fy * below


def test_key_read_where_the_flow_points_is_cur(folders):
    data = SyntheticMotion(str(folders / 'smooth'), crop_size=SIZE)
    np.random.seed(1)
    errors, hidden_errors, lengths = [], [], []
    for number in range(12):
        item = data[number % 3]
        cur, key = (item['inputs'][n].permute(1, 2, 0).numpy() for n in ('cur', 'key'))
        sample = item['data_samples']
        flow, hidden = sample.gt_flow.data.numpy(), sample.is_hidden.data[0].numpy()
        for y in range(4, SIZE[0], 7):
            for x in range(4, SIZE[1], 7):
                value = read_at(key.astype(float), x + flow[0, y, x], y + flow[1, y, x])
                if value is None:
                    continue
                error = np.abs(value - cur[y, x]).mean()
                (hidden_errors if hidden[y, x] else errors).append(error)
                lengths.append(np.hypot(*flow[:, y, x]))
    assert max(lengths) > 8  # it does move
    assert np.median(errors) < 2 and np.mean(np.array(errors) > 15) < 0.02
    assert np.mean(hidden_errors) > 15  # hidden pixels are not there


def test_a_shift_is_a_constant_flow_against_it(folders, monkeypatch):
    """Content that the key frame shows 5 px left and 3 px up has flow (-5, -3)."""
    data = SyntheticMotion(str(folders / 'smooth'), crop_size=SIZE, num_objects=(0, 0))
    shift = Motion(np.array([[1.0, 0, 5], [0, 1, 3], [0, 0, 1]]))
    monkeypatch.setattr(RandomMotion, 'draw', lambda self, size, amount: shift)
    for seed in range(4):
        np.random.seed(seed)
        item = data[0]
        cur, key = item['inputs']['cur'], item['inputs']['key']
        flow = item['data_samples'].gt_flow.data
        sign = int(np.sign(flow[0, 0, 0]))  # a flip turns x round
        assert torch.equal(flow[0], torch.full(SIZE, 5.0 * sign))
        assert torch.equal(flow[1], torch.full(SIZE, -3.0))
        inner = cur[:, 10:40, 10:60]
        left = 10 + 5 * sign
        assert torch.equal(key[:, 7:37, left : left + 50], inner)


def test_labels_go_along_with_their_pixels(folders):
    data = SyntheticMotion(
        str(folders / 'images'),
        crop_size=SIZE,
        label_dir=str(folders / 'labels'),
        num_objects=(4, 4),
        ratio_range=(1.0, 1.0),
    )
    np.random.seed(0)
    for index in range(3):
        item = data[index]
        labels = item['data_samples'].gt_sem_seg.data[0]
        assert torch.equal(item['inputs']['cur'][0].long(), labels * 60 + 20)
        assert len(labels.unique()) > 1


def test_pieces_are_whole_things(folders):
    """Image 0 is all label 1; the others have a disc of label 3 that moves as one."""
    rng = np.random.default_rng(0)
    for number in range(3):
        labels = np.ones(SIZE, np.uint8)
        if number:
            cv2.circle(labels, (40, 30), 12, 3, -1)
        cv2.imwrite(str(folders / f'labels/a/{number}.png'), labels)
        image = rng.integers(0, 100, (*SIZE, 3)).astype(np.uint8)
        image[labels == 3] = 250
        cv2.imwrite(str(folders / f'images/a/{number}.png'), image)
    data = SyntheticMotion(
        str(folders / 'images'),
        crop_size=SIZE,
        label_dir=str(folders / 'labels'),
        part_classes=[3],
        num_objects=(1, 1),
        object_radius=(0.05, 0.05),
        ratio_range=(1.0, 1.0),
        background=STILL,
        objects=dict(STILL, shift=0.1),
    )
    disc = (cv2.circle(np.zeros(SIZE, np.uint8), (40, 30), 12, 1, -1)).sum()
    sizes = []
    np.random.seed(0)
    for _ in range(40):
        item = data[0]
        sample = item['data_samples']
        labels, flow = sample.gt_sem_seg.data[0], sample.gt_flow.data
        moved = flow.abs().sum(dim=0) > 0
        is_disc = labels == 3
        sizes.append(int(is_disc.sum()))
        if sizes[-1] == disc:  # the whole disc, and nothing beside it, is what moves
            assert torch.equal(moved, is_disc)
            assert (item['inputs']['cur'][:, is_disc] == 250).all()
    assert 5 < sizes.count(disc) < 25  # half the pieces, of two images in three
    with pytest.raises(ValueError, match='part_classes .* set label_dir'):
        SyntheticMotion(str(folders / 'images'), part_classes=[3])


def test_a_motion_inverts():
    """Key pixels shown where they came from, by a loop over projected points."""
    matrix = np.array([[1.2, 0.1, 3], [-0.05, 0.9, -2], [0.001, -0.0005, 1]])
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]]
    wave = np.stack([2 * np.sin(ys / 15), 1.5 * np.cos(xs / 20)], -1)
    rest = wave.astype(np.float32)
    for motion in (Motion(matrix), Motion(matrix, rest)):
        flow, to_cur = motion.flow(SIZE), motion.to_cur(SIZE)
        for y, x in ((10, 12), (31, 40), (50, 80), (33, 7)):
            u, v, w = matrix @ (x, y, 1)
            expected = np.array([u, v]) / w
            if motion.rest is not None:
                expected += rest[y, x]
            np.testing.assert_allclose(to_cur[y, x], expected, atol=1e-4)
            if not (0 < expected[0] < SIZE[1] - 2 and 0 < expected[1] < SIZE[0] - 2):
                continue
            back = [read_at(flow[..., axis], *expected) for axis in (0, 1)]
            np.testing.assert_allclose(back, [x, y] - expected, atol=0.02)


def test_motions_follow_each_other():
    rng = np.random.default_rng(0)
    first, second = (Motion(np.eye(3) + rng.normal(0, 1e-3, (3, 3))) for _ in range(2))
    both = first.then(second).to_cur(SIZE)[20, 30]
    middle = second.matrix @ (30, 20, 1)
    end = first.matrix @ middle
    np.testing.assert_allclose(both, end[:2] / end[2], rtol=1e-4)


def test_what_cannot_be(folders):
    (folders / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='img_dir must contain images'):
        SyntheticMotion(str(folders / 'empty'))
    with pytest.raises(ValueError, match='num_objects must be'):
        SyntheticMotion(str(folders / 'images'), num_objects=(3, 1))
    with pytest.raises(ValueError, match='object_radius must be'):
        SyntheticMotion(str(folders / 'images'), object_radius=(0.0, 1.0))
    data = SyntheticMotion(str(folders / 'images'), label_dir=str(folders / 'smooth'))
    with pytest.raises(FileNotFoundError, match='label map .* does not exist'):
        data[0]


def write_clip(root, *, shift, frames):
    """A picture that moves by `shift` pixels a frame, as images/V/FRAME."""
    wide = smooth_image(np.random.default_rng(3), (160, 256))
    for split, names in (('clip', range(frames)), ('lone', [100])):
        folder = root / 'images' / split
        folder.mkdir(parents=True)
        for number in names:
            x, y = 60 - shift[0] * number, 40 - shift[1] * number
            part = wide[y : y + 96, x : x + 128] if split == 'clip' else wide[:96, :128]
            cv2.imwrite(str(folder / f'{number:06d}.png'), part)
    return root


def test_chained_flow_adds_up_over_the_frames(tmp_path):
    """Content moves by (3, 2) a frame, so it was (3, 2) x offset before: minus that."""
    root = write_clip(tmp_path, shift=(3, 2), frames=5)
    dataset = dict(
        type='mmseg.BaseSegDataset',
        data_root=str(root),
        img_suffix='.png',
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        metainfo=dict(classes=('a',)),
    )
    data = ChainedFlowDataset(
        dataset,
        crop_size=SIZE,
        offset_range=(4, 4),
        ratio_range=(1.0, 1.0),
        working_scale=1.0,
        file_pattern='(?P<video>[^/]+)/(?P<frame>[0-9]+)',
    )
    assert len(data) == 5  # the single image is left out
    assert DATASETS.get('BaseSegDataset') is not None
    signs = set()
    np.random.seed(0)
    for _ in range(6):
        flow = data[4]['data_samples'].gt_flow.data
        found = flow[:, 16:-16, 16:-16].flatten(1).median(dim=1).values
        signs.add(float(torch.sign(found[0])))
        assert abs(abs(found[0]) - 12) < 0.7 and abs(found[1] + 8) < 0.7
    assert signs == {-1.0, 1.0}  # flipped, and not
    assert not data[0]['data_samples'].gt_flow.data.any()  # clamped to itself
