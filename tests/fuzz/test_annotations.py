"""Damaged annotation files: a result, or an error that names the file."""

import json
import random

import cv2
import numpy as np
import pytest
from imagenet_tree import write_tree
from mutate import mutate_text, mutate_value
from outcomes import SEEDS, Tally, leftovers

from dff.converters.data import convert_det, convert_mot, convert_vid
from dff.datasets import CocoVIDDataset, VideoPairDataset

ROWS = '1,1,11,6,20,30,1,-1,-1,-1\n2,1,13,6,20,30,1\n2,2,31,6,10,10,0\n'


def write_frames(folder, count=3, suffix='.jpg'):
    folder.mkdir(parents=True)
    for index in range(count):
        image = np.full((48, 64, 3), 20 * index, np.uint8)
        cv2.imwrite(str(folder / f'{index + 1:06d}{suffix}'), image)


def damage_file(path, convert, seeds, *, out, names=()):
    """Mutate one text file again and again, convert, and look at what is left."""
    content, tally = path.read_bytes(), Tally()
    for seed in seeds:
        path.write_bytes(mutate_text(random.Random(seed), content))
        out.unlink(missing_ok=True)
        kind = tally.add(seed, convert, [path, *names])
        assert out.exists() == (kind == 'result'), f'seed {seed}: {kind}'
        assert not leftovers(out.parent)
        if kind == 'result':  # what was written can be read
            CocoVIDDataset(str(out), pipeline=[], test_mode=True)
    path.write_bytes(content)
    tally.check(path.name)


@pytest.mark.parametrize('seeds', SEEDS)
def test_mot_text(tmp_path, seeds):
    sequence, out = tmp_path / 'walk', tmp_path / 'out'
    write_frames(sequence / 'img1')
    path = sequence / 'gt' / 'gt.txt'
    path.parent.mkdir()
    path.write_text(ROWS)
    damage_file(
        path,
        lambda: convert_mot(sequence, out, name='all'),
        seeds,
        out=out / 'annotations' / 'all.json',
    )


@pytest.fixture(scope='module')
def imagenet(tmp_path_factory):
    root = tmp_path_factory.mktemp('imagenet')
    write_tree(root)
    return root


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('kind', ['VID', 'DET'])
def test_xml(imagenet, tmp_path, seeds, kind):
    out = tmp_path / 'out' / 'x.json'
    convert = dict(VID=convert_vid, DET=convert_det)[kind]
    split = dict(VID='val', DET='train')[kind]
    path = sorted((imagenet / 'Annotations' / kind / split).rglob('*.xml'))[0]
    damage_file(path, lambda: convert(imagenet, out, split=split), seeds, out=out)


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize(
    'name', ['VID_train_15frames', 'VID_val_videos', 'VID_val_frames']
)
def test_lists_of_frames(imagenet, tmp_path, seeds, name):
    out, path = tmp_path / 'out' / 'x.json', imagenet / 'ImageSets' / f'{name}.txt'
    damage_file(
        path,
        lambda: convert_vid(
            imagenet, out, split=name.split('_')[1], labelled_frames=path
        ),
        seeds,
        out=out,
    )


@pytest.mark.parametrize('seeds', SEEDS)
def test_list_of_stills(imagenet, tmp_path, seeds):
    out = tmp_path / 'out' / 'x.json'
    path = imagenet / 'ImageSets' / 'DET_train_30classes.txt'
    damage_file(
        path,
        lambda: convert_det(imagenet, out, split='train', images=path),
        seeds,
        out=out,
        names=[imagenet / 'Annotations'],  # of an image that only the list has
    )


PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(type='mmdet.PackDetInputs'),
]


def read_cocovid(root):
    """Read the json by itself, then a few pairs of frames."""
    options = dict(data_root=str(root), ann_file='vid.json')
    data = CocoVIDDataset(**options, pipeline=[], test_mode=True)
    for index in range(len(data)):
        data.get_data_info(index)
        data.get_cat_ids(index)
    pairs = VideoPairDataset(
        dict(type='CocoVIDDataset', **options), PIPELINE, missing='nearest'
    )
    for index in range(min(len(pairs), 2)):
        pairs[index]


@pytest.mark.parametrize('seeds', SEEDS)
@pytest.mark.parametrize('kind', ['text', 'value'])
def test_cocovid(make_vid_set, seeds, kind):
    root = make_vid_set((2, 2), size=(32, 24))
    path = root / 'vid.json'
    text, tally = path.read_bytes(), Tally()
    content = json.loads(text)
    for seed in seeds:
        rng = random.Random(seed)
        if kind == 'text':
            path.write_bytes(mutate_text(rng, text))
        else:
            path.write_text(json.dumps(mutate_value(rng, content)[0]))
        tally.add(seed, lambda: read_cocovid(root), [path, root])
    tally.check(f'CocoVID by {kind}')
