"""Damaged videos, flows and label maps: a result, or an error that says where."""

import random

import cv2
import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations
from mutate import mutate_bytes
from outcomes import SEEDS, Tally, leftovers
from PIL import Image

from dff.checks.frame_check import check_frame
from dff.converters.data import convert_mot
from dff.datasets import FlyingChairs
from dff.datasets.flow.flo import read_flo, write_flo


def write_video(path, code, count=6):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 10, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(count):
        writer.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()


VIDEOS = {'a.avi': 'MJPG', 'a.mp4': 'mp4v'}


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('name', VIDEOS)
def test_mot_of_a_video(tmp_path, seeds, name):
    """No frame of a sequence that failed stays behind."""
    path, out = tmp_path / 'walk' / name, tmp_path / 'out'
    (path.parent / 'gt').mkdir(parents=True)
    (path.parent / 'gt' / 'gt.txt').write_text('6,1,11,6,20,30,1\n')
    write_video(path, VIDEOS[name])
    content, tally = path.read_bytes(), Tally()
    for seed in seeds:
        path.write_bytes(mutate_bytes(random.Random(seed), content))
        kind = tally.add(
            seed, lambda: convert_mot(path.parent, out, name='all'), [path.parent]
        )
        files = [p for p in out.rglob('*') if p.is_file()]
        assert bool(files) == (kind == 'result'), f'seed {seed}: {kind}, {files}'
        assert not leftovers(out)
        for file in files:
            file.unlink()
    tally.check(f'MOT of {name}')


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('name', ['1_img1.ppm', '1_img2.ppm', '1_flow.flo'])
def test_flow_pair(tmp_path, seeds, name):
    for number in (1, 2):
        image = np.full((12, 16, 3), 100 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f'1_img{number}.ppm'), image)
    write_flo(tmp_path / '1_flow.flo', np.ones((12, 16, 2), np.float32))
    path = tmp_path / name
    content, tally = path.read_bytes(), Tally()
    data = FlyingChairs(str(tmp_path))

    def read():
        if name.endswith('.flo'):
            read_flo(path)
        item = data[0]
        assert item['data_samples'].gt_flow.data.shape[0] == 2

    for seed in seeds:
        rng = random.Random(seed)
        # the header is a small part of the file: damage that half of the time
        is_head = rng.random() < 0.5
        head, rest = (content[:15], content[15:]) if is_head else (content, b'')
        path.write_bytes(mutate_bytes(rng, head) + rest)
        tally.add(seed, read, [tmp_path])
    tally.check(name)


@pytest.mark.parametrize('seeds', SEEDS)
def test_label_maps(tmp_path, seeds):
    """`check_data.py` names a map, or it holds labels of the size of its image."""
    image, path, tally = tmp_path / 'a.jpg', tmp_path / 'a.png', Tally()
    cv2.imwrite(str(image), np.zeros((12, 16, 3), np.uint8))
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(12, 16) % 3).save(path)
    info = dict(
        img_path=str(image),
        seg_map_path=str(path),
        is_labelled=True,
        seg_fields=[],
        reduce_zero_label=False,
        label_map=None,
    )
    content = path.read_bytes()

    def check():
        found = check_frame(
            info, LoadAnnotations(), num_classes=3, ignored={255}, decode=True
        )
        if found.problems:
            raise ValueError(found.problems)
        with Image.open(path) as whole:
            labels = np.asarray(whole)
        assert labels.shape == (12, 16)
        assert set(labels.flat) <= {0, 1, 2, 255}
        assert found.pixels.sum() == labels.size

    for seed in seeds:
        path.write_bytes(mutate_bytes(random.Random(seed), content))
        tally.add(seed, check, [path], judge=judge_finding)
    tally.check(path.name)
    assert tally['ValueError']


def judge_finding(error, names):
    """A finding, made an error by the test, names the map."""
    if type(error) is not ValueError or str(names[0]) not in str(error):
        return f'{type(error).__name__} is no finding'
    return None
