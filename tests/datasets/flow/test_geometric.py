"""Moved pairs keep an exact flow, colours do not touch it."""

import cv2
import numpy as np
import pytest

from dff.datasets import FlowAugmentation
from dff.datasets.flow.geometric import FlowGeometry, move_flow, sample_flow
from dff.datasets.flow.photometric import ColourChange, ColourJitter

SIZE, CROP = (96, 128), (56, 72)
STILL = dict(
    translation=0.0,
    rotation=0.0,
    scale=(1.0, 1.0),
    relative_translation=0.0,
    relative_rotation=0.0,
    relative_scale=0.0,
)
# A point (x, y) of cur is at MOTION (x, y, 1) in key.
MOTION = np.array([[1.03, 0.04, -2.5], [-0.05, 0.98, 3.25], [0, 0, 1]])


def affine_flow():
    flow = np.zeros((*SIZE, 2), np.float32)
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            flow[y, x] = (MOTION @ (x, y, 1))[:2] - (x, y)
    return flow


def smooth_pair():
    """A smooth image, and itself after MOTION."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (12, 16, 3)).astype(np.float32)
    cur = cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    cur = cur.clip(0, 255).astype(np.uint8)
    return cur, cv2.warpAffine(cur, MOTION[:2], SIZE[::-1], flags=cv2.INTER_CUBIC)


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(translation=0.2),
        dict(rotation=17.0),
        dict(scale=(0.9, 2.0)),
        dict(relative_translation=0.03),
        dict(relative_rotation=5.0),
        dict(relative_scale=0.1),
        dict(vars(FlowGeometry())),
    ],
    ids=lambda options: ','.join(options) if len(options) < 2 else 'all',
)
def test_an_affine_flow_stays_exact(options):
    """In the crop, a pixel p goes to K M C^-1 p: three matrices, multiplied out."""
    geometry = FlowGeometry(**{**STILL, **options})
    flow = affine_flow()
    for seed in range(5):
        np.random.seed(seed)
        cur, key = geometry.draw(SIZE, CROP)
        moved = move_flow(flow, cur, key, CROP)
        assert moved.shape == (*CROP, 2) and moved.dtype == np.float32
        whole = key @ MOTION @ np.linalg.inv(cur)
        for y in range(0, CROP[0], 5):
            for x in range(0, CROP[1], 5):
                expected = (whole @ (x, y, 1))[:2] - (x, y)
                np.testing.assert_allclose(moved[y, x], expected, atol=2e-5)


def test_each_option_does_what_it_says():
    turn, zoom, shift = [], [], []
    for seed in range(60):
        np.random.seed(seed)
        cur, key = FlowGeometry().draw((384, 512), (320, 448))
        between = key @ np.linalg.inv(cur)
        for matrix in (cur, between):
            turn.append(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
            zoom.append(np.hypot(matrix[0, 0], matrix[1, 0]))
        centre = np.array([223.5, 159.5, 1])
        shift.append((between @ centre - centre)[:2])
    turn, zoom = np.reshape(turn, (-1, 2)), np.reshape(zoom, (-1, 2))
    assert 10 < np.abs(turn[:, 0]).max() <= 17 and np.abs(turn[:, 1]).max() <= 1.7
    assert zoom[:, 0].min() < 1.3 and 1.8 < zoom[:, 0].max() <= 2
    assert 1.02 < zoom[:, 1].max() <= np.exp(0.03) + 1e-9
    assert 8 < np.abs(shift).max() <= 0.03 * 512


def test_images_moved_by_the_new_flow_match():
    cur, key = smooth_pair()
    augment = FlowAugmentation(CROP, geometry=dict(rotation=17.0))
    errors, lengths = [], []
    for seed in range(6):
        np.random.seed(seed)
        new_cur, new_key, flow = augment(cur, key, affine_flow())
        assert new_cur.shape == new_key.shape == (*CROP, 3)
        assert np.isfinite(flow).all()
        rows, columns = np.mgrid[: CROP[0], : CROP[1]]
        where = (np.stack([columns, rows], -1) + flow).astype(np.float32)
        seen = cv2.remap(new_key, where, None, cv2.INTER_LINEAR)
        is_there = (where >= 8).all(-1) & (where < np.array(CROP[::-1]) - 8).all(-1)
        errors.append(np.abs(seen.astype(float) - new_cur)[is_there].mean())
        shifted = np.abs(new_key.astype(float) - new_cur)[is_there].mean()
        lengths.append(shifted)
    assert max(errors) < 2.5 and min(lengths) > 3 * max(errors)


def test_the_central_crop_of_a_still_is_bit_exact():
    cur, key = smooth_pair()
    flow = affine_flow()
    found = FlowAugmentation(CROP, geometry=STILL)(cur, key, flow)
    cut = slice(20, 76), slice(28, 100)
    for new, old in zip(found, (cur, key, flow), strict=True):
        np.testing.assert_allclose(new, old[cut], atol=2e-6)


def test_two_motions_are_never_mixed_and_unknown_stays_unknown():
    flow = np.zeros((4, 6, 2), np.float32)
    flow[:, 3:] = (8, -4)
    where = np.array([[[2.4, 1.0], [2.6, 1.5], [0.5, 0.5], [5.0, 3.0], [5.1, 3.0]]])
    found = sample_flow(flow, where)[0]
    assert found[:4].tolist() == [[0, 0], [8, -4], [0, 0], [8, -4]]
    assert np.isnan(found[4]).all()  # outside
    flow[0, 0] = np.nan
    found = sample_flow(flow, np.array([[[0.5, 0.0], [1.0, 0.0], [0.0, 1.0]]]))[0]
    assert np.isnan(found[0]).all() and found[1:].tolist() == [[0, 0], [0, 0]]


def test_a_frame_smaller_than_the_crop_is_enlarged():
    cur, key = smooth_pair()
    size = (120, 140)
    augment = FlowAugmentation(size, geometry=STILL)
    new_cur, _, flow = augment(cur, key, affine_flow())
    assert new_cur.shape == (*size, 3) and np.isfinite(flow).all()
    zoom = 119 / 95
    expected = zoom * ((MOTION - np.eye(3)) @ (63.5, 47.5, 1))[:2]
    centre = flow[59:61, 69:71].mean(axis=(0, 1))
    np.testing.assert_allclose(centre, expected, atol=1e-4)


def test_a_change_of_colour_by_a_loop():
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 3)).astype(np.uint8)
    change = ColourChange(np.array([0.6, 1.0, 1.8]), 1.3, 0.1, 0.7)
    found = change.apply(image)
    for index in np.ndindex(image.shape):
        value = min(image[index] / 255 * (0.6, 1.0, 1.8)[index[2]], 1) ** 1.3 + 0.1
        value = min(max(0.5 + (value - 0.5) * 0.7, 0), 1)
        assert abs(int(found[index]) - value * 255) <= 0.501
    same = ColourChange(np.ones(3)).apply(image)
    np.testing.assert_array_equal(same, image)


def test_colours_leave_the_flow_alone_and_noise_is_each_frames_own():
    cur, key = smooth_pair()
    plain, coloured = (
        FlowAugmentation(CROP, geometry=STILL, colour=colour)
        for colour in (None, dict())
    )
    np.random.seed(0)
    flow = plain(cur, key, affine_flow())[2]
    np.random.seed(0)
    np.testing.assert_array_equal(coloured(cur, key, affine_flow())[2], flow)
    gray = np.full((64, 64, 3), 128, np.uint8)
    quiet = dict(brightness=0, contrast=(0, 0), gamma=(1, 1), colour=(1, 1), relative=0)
    np.random.seed(1)
    found = ColourJitter(**quiet)(gray, gray)
    noise = [frame.astype(float).ravel() - 128 for frame in found]
    assert 0.5 < noise[0].std() < 0.04 * 255 * 1.05
    assert abs(noise[0].std() / noise[1].std() - 1) < 0.1
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.05


def test_ranges_of_the_colours():
    np.random.seed(0)
    pairs = [ColourJitter().draw() for _ in range(300)]
    cur, key = zip(*pairs, strict=True)
    for name, low, high in (
        ('gamma', 0.7, 1.5),
        ('contrast', 0.2, 1.4),
        ('colour', 0.5, 2.0),
    ):
        values = np.array([getattr(change, name) for change in cur])
        assert low <= values.min() < low * 1.1 and high * 0.95 < values.max() <= high
        ratio = np.array([getattr(change, name) for change in key]) / values
        assert 0.017 < np.log(ratio).std() < 0.023
    assert 0.17 < np.std([change.brightness for change in cur]) < 0.23


def test_what_cannot_be():
    for options, message in (
        (dict(scale=(0, 1)), 'scale must be 0 < low <= high'),
        (dict(relative_rotation=-1), 'relative_rotation must be >= 0, got -1'),
    ):
        with pytest.raises(ValueError, match=message):
            FlowAugmentation(CROP, geometry=options)
    with pytest.raises(ValueError, match='gamma must be 0 < low <= high'):
        FlowAugmentation(CROP, colour=dict(gamma=(2, 1)))
    with pytest.raises(ValueError, match=r'crop_size must be positive \(h, w\)'):
        FlowAugmentation((0, 5))
