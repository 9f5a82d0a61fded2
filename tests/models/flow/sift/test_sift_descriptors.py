import numpy as np
import pytest

from dff.models.flow.sift.sift_descriptors import dense_sift


def loop_descriptor(image, x, y, size):
    """One descriptor by its definition: trapezoid cells, cosines to the ninth."""
    border = 2 * size + 2
    image = np.pad(image, [(border, border)] * 2 + [(0, 0)], mode='edge') / 255
    x, y = x + border, y + border

    def gradient(row, column):
        best = (0.0, 0.0)
        for channel in range(image.shape[2]):
            part = image[row - 1 : row + 2, column - 1 : column + 2, channel]
            dx = ((part[:, 2] - part[:, 0]) * [1, 2, 1]).sum() / 8
            dy = ((part[2] - part[0]) * [1, 2, 1]).sum() / 8
            best = max(best, (dx, dy), key=lambda g: np.hypot(*g))
        return best

    bins = np.zeros((4, 4, 8))
    for cell_y, cell_x in np.ndindex(4, 4):
        for i, j in np.ndindex(size + 1, size + 1):
            dx, dy = gradient(y + (cell_y - 2) * size + i, x + (cell_x - 2) * size + j)
            weight = (0.5 if i in (0, size) else 1) * (0.5 if j in (0, size) else 1)
            for k in range(8):
                cosine = np.cos(np.arctan2(dy, dx) - k * np.pi / 4)
                strength = np.hypot(dx, dy) * max(cosine, 0) ** 9
                bins[cell_y, cell_x, k] += weight * strength
    return 255 * bins.ravel() / (np.linalg.norm(bins) + 0.01)


@pytest.mark.parametrize('size', [2, 3])
def test_it_equals_a_loop_in_the_middle_and_at_the_border(size):
    image = np.random.default_rng(0).integers(0, 256, (15, 19, 3), np.uint8)
    found = dense_sift(image, (size,))
    assert found.shape == (15, 19, 128)
    for x, y in [(0, 0), (9, 7), (18, 3), (5, 14)]:
        expected = loop_descriptor(image, x, y, size)
        gap = expected - found[y, x]  # rounded down; float32 may fall to the next
        assert gap.min() > -0.01 and gap.max() < 1.01


def test_several_cell_sizes_follow_each_other():
    image = np.random.default_rng(1).integers(0, 256, (12, 9, 3), np.uint8)
    parts = [dense_sift(image, (size,)) for size in (4, 2)]
    assert (dense_sift(image, (4, 2)) == np.concatenate(parts, axis=2)).all()


def test_it_ignores_brightness_and_contrast():
    image = np.random.default_rng(2).integers(0, 100, (20, 24, 3), np.uint8)
    other = dense_sift(2 * image + 40)
    assert np.abs(dense_sift(image).astype(int) - other).max() <= 2


def test_flat_frames_have_no_direction():
    assert not dense_sift(np.full((8, 9, 3), 77, np.uint8)).any()
