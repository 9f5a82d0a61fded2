"""Stills of ImageNet DET: the 30 classes of VID, by the release's list."""

import json

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from dff.converters.data import convert_det
from dff.datasets.vid_annotations import VID_CLASSES

DOG, ZEBRA, ACCORDION = 'n02084071', 'n02391049', 'n02672831'
FOLDER = 'train/ILSVRC2013_train/n02084071'
EXIF_ORIENTATION = 0x0112


def write_still(root, name, objects, *, size=(60, 40), said=None, turned=None):
    """Write a JPEG and its XML as DET has them; `said`: another size in the XML."""
    path = root / 'Data/DET' / f'{name}.JPEG'
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8))
    exif = Image.Exif()
    if turned is not None:
        exif[EXIF_ORIENTATION] = turned
    image.save(path, 'JPEG', exif=exif)
    width, height = said or size
    items = ''.join(
        f'<object><name>{wnid}</name><bndbox><xmin>{x1}</xmin><xmax>{x2}</xmax>'
        f'<ymin>{y1}</ymin><ymax>{y2}</ymax></bndbox></object>'
        for wnid, (x1, y1, x2, y2) in objects
    )
    path = root / 'Annotations/DET' / f'{name}.xml'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<annotation><folder>n02084071</folder><source><database>ILSVRC_2013</database>'
        f'</source><size><width>{width}</width><height>{height}</height></size>{items}'
        '</annotation>'
    )


@pytest.fixture
def root(tmp_path):
    write_still(
        tmp_path, f'{FOLDER}/two', [(ZEBRA, (1, 2, 9, 9)), (DOG, (4, 4, 61, 39))]
    )
    write_still(
        tmp_path, f'{FOLDER}/one', [(ACCORDION, (1, 1, 9, 9)), (DOG, (5, 6, 25, 36))]
    )
    write_still(tmp_path, 'train/ILSVRC2013_train_extra0/none', [])
    write_still(tmp_path, f'{FOLDER}/other', [(ACCORDION, (1, 1, 9, 9))])
    write_still(tmp_path, f'{FOLDER}/thin', [(DOG, (60, 1, 70, 9))])
    write_still(tmp_path, 'val/v', [(DOG, (1, 1, 9, 9))])
    return tmp_path


def convert(root, **kwargs):
    writer = convert_det(root, root / 'det.json', **kwargs)
    return json.loads((root / 'det.json').read_text()), writer


def test_thirty_classes_under_the_labels_of_vid(root):
    content, writer = convert(root)
    assert [category['name'] for category in content['categories']] == list(VID_CLASSES)
    assert content['videos'] == []
    files = {image['id']: image['file_name'] for image in content['images']}
    assert files == {1: f'{FOLDER}/one.JPEG', 2: f'{FOLDER}/two.JPEG'}
    boxes = [
        (
            files[item['image_id']][-8:-5],
            VID_CLASSES[item['category_id'] - 1],
            item['bbox'],
        )
        for item in content['annotations']
    ]
    assert boxes == [
        ('one', 'dog', [5, 6, 20, 30]),
        ('two', 'zebra', [1, 2, 8, 7]),
        ('two', 'dog', [4, 4, 56, 35]),  # clipped at 60, as boxes of VID are
    ]
    assert writer.counts == dict(other=2, clipped=1, dropped=1, empty=3)
    assert '3 images without a remaining box were dropped' in writer.report()


def test_the_list_chooses_images_of_its_split(root):
    (root / 'list.txt').write_text(f'{FOLDER}/two 1\nval/v 1\n')
    content, _ = convert(root, images=root / 'list.txt')
    assert [image['file_name'] for image in content['images']] == [f'{FOLDER}/two.JPEG']
    content, _ = convert(root, images=root / 'list.txt', split='val')
    assert [image['file_name'] for image in content['images']] == ['val/v.JPEG']
    (root / 'list.txt').write_text('val/v 1\n')
    with pytest.raises(ValueError, match='list.txt names no train image of DET'):
        convert(root, images=root / 'list.txt')


def test_what_is_missing_is_named(root):
    (root / 'list.txt').write_text(f'{FOLDER}/gone 1\n')
    with pytest.raises(FileNotFoundError, match='annotation .*gone.xml does not exist'):
        convert(root, images=root / 'list.txt')
    (root / f'Data/DET/{FOLDER}/one.JPEG').unlink()
    with pytest.raises(FileNotFoundError, match='missing image .*one.JPEG'):
        convert(root)
    assert len(convert(root, check_images=False)[0]['images']) == 2
    (root / f'Data/DET/{FOLDER}/one.JPEG').write_bytes(b'no picture')
    with pytest.raises(ValueError, match='cannot read image .*one.JPEG'):
        convert(root)
    with pytest.raises(FileNotFoundError, match='no test images under'):
        convert(root, split='test')


def test_sizes_are_those_of_the_stored_pixels(tmp_path):
    """An EXIF orientation turns nothing; a wrong size in the XML cuts no box."""
    box = [(DOG, (5, 2, 55, 38))]
    write_still(tmp_path, 'train/a', box, turned=6)
    write_still(tmp_path, 'train/b', box, said=(40, 60))
    content, writer = convert(tmp_path)
    assert [(i['width'], i['height']) for i in content['images']] == [(60, 40)] * 2
    assert [item['bbox'] for item in content['annotations']] == [[5, 2, 50, 36]] * 2
    assert writer.counts == dict(size=1)
    assert writer.first_sources['size'].endswith('train/b.xml')


def test_training_reads_them_as_pairs_of_stills(root):
    convert(root)
    load = dict(type='LoadImageFromFile', color_type='color_ignore_orientation')
    cfg = dict(
        type='VideoPairDataset',
        dataset=dict(
            type='CocoVIDDataset',
            data_root=str(root),
            ann_file='det.json',
            data_prefix=dict(img='Data/DET/'),
        ),
        pipeline=[
            load,
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs'),
        ],
        as_stills=True,
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        data = DATASETS.build(cfg)
    assert len(data) == 2
    sample = data[1]['data_samples']
    assert sample.is_same and sample.gt_instances.labels.tolist() == [29, 8]
