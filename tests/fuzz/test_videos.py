"""Damaged videos and images: frames, or an error that names the file."""

import random

import cv2
import numpy as np
import pytest
from make_video import noise_pictures, write_video
from mutate import mutate_bytes
from outcomes import SEEDS, Tally

from dff.apis import open_frames

COUNT, SIZE = 12, (48, 64)


def pictures():
    for index in range(COUNT):
        image = np.full((*SIZE, 3), 40, np.uint8)
        cv2.circle(image, (6 + 4 * index, 24), 6, (10, 200, 240), -1)
        yield image


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize(('suffix', 'code'), [('.mp4', 'mp4v'), ('.avi', 'MJPG')])
def test_videos(tmp_path, suffix, code, seeds):
    """A result is frames of one size, no more of them than there were and some."""
    path = tmp_path / f'walk{suffix}'
    code = cv2.VideoWriter_fourcc(*code)
    writer = cv2.VideoWriter(str(path), code, 10, SIZE[::-1])
    for image in pictures():
        writer.write(image)
    writer.release()
    content, tally = path.read_bytes(), Tally()

    def read():
        frames = [frame.image for frame in open_frames(str(path))]
        assert len({image.shape for image in frames}) == 1
        assert 0 < len(frames) <= 2 * COUNT

    for seed in seeds:
        path.write_bytes(mutate_bytes(random.Random(seed), content))
        tally.add(seed, read, [path])
    tally.check(path.name)
    assert tally['result'] and tally['ValueError']


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize(
    ('name', 'codec'),
    [
        ('a.mp4', 'libx264'),
        ('a.mkv', 'libx264'),
        ('a.ts', 'libx264'),
        ('a.webm', 'libvpx-vp9'),
    ],
)
def test_videos_of_today(tmp_path, name, codec, seeds):
    """What is damaged is listed, or is an error where that is wanted."""
    path, tally = tmp_path / name, Tally()
    write_video(path, noise_pictures(COUNT, SIZE), codec=codec)
    content = path.read_bytes()

    def read():
        source = open_frames(path)
        frames = list(source)
        assert len({frame.image.shape for frame in frames}) == 1
        assert 0 < len(frames) <= 2 * COUNT
        numbers = [frame.index for frame in frames]
        assert numbers == sorted(set(numbers))
        lost = {damage.number for damage in source.damage if damage.kind == 'lost'}
        assert not lost & set(numbers)
        try:
            strict = list(open_frames(path, on_damage='raise'))
        except ValueError:
            assert source.damage
        else:
            assert len(strict) == len(frames) and not source.damage

    for seed in seeds:
        path.write_bytes(mutate_bytes(random.Random(seed), content))
        tally.add(seed, read, [path])
    tally.check(path.name)
    # half of so small an MP4 is its index, without which there is nothing
    assert tally['result'] > len(seeds) * (0.2 if name == 'a.mp4' else 0.6)


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_images(tmp_path, suffix, seeds):
    folder = tmp_path / 'frames'
    folder.mkdir()
    for index, image in enumerate(pictures()):
        cv2.imwrite(str(folder / f'{index}{suffix}'), image)
    path, tally = folder / f'7{suffix}', Tally()
    content = path.read_bytes()
    for seed in seeds:
        path.write_bytes(mutate_bytes(random.Random(seed), content))
        tally.add(seed, lambda: list(open_frames(str(folder))), [path])
    tally.check(path.name)
    assert sum(tally.values()) == len(seeds)
