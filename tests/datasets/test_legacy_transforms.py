"""Pre-processing of `configs/vid` against the release's, written out."""

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS, DefaultScope
from PIL import Image
from torch.testing import assert_close

import dff  # noqa: F401  (registers the classes)

CONFIG = Path(__file__).resolve().parents[2] / 'configs/vid/dff_rfcn_r101_vid.py'
MEANS = (123.15, 115.90, 103.06)  # RGB


@pytest.fixture(scope='module')
def cfg():
    return Config.fromfile(CONFIG)


def pipeline_of(loader):
    dataset = loader['dataset']
    while 'pipeline' not in dataset:
        dataset = dataset['datasets'][0]
    with DefaultScope.overwrite_default_scope('mmdet'):
        return Compose(copy.deepcopy(dataset['pipeline']))


@pytest.fixture(scope='module')
def preprocess(cfg):
    """From a file to what the network sees, and its sample."""
    pipeline = pipeline_of(cfg.test_dataloader)
    with DefaultScope.overwrite_default_scope('mmdet'):
        preprocessor = MODELS.build(cfg.model.detector.data_preprocessor)

    def run(path):
        data = pipeline(dict(img_path=str(path), img_id=0, instances=[]))
        batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
        batch = preprocessor(batch, training=False)
        return batch['inputs'], batch['data_samples'][0]

    return run


def make_image(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def size_in_words(width, height):
    """Shorter side 600; if the longer one rounds to more than 1000, that 1000."""
    factor = 600 / min(width, height)
    if np.round(factor * max(width, height)) > 1000:
        factor = 1000 / max(width, height)
    return factor, int(np.round(width * factor)), int(np.round(height * factor))


def resample(image, factor, width, height):
    """Bilinear: pixel i of the result looks at (i + 0.5) / factor - 0.5."""

    def taps(count, size):
        at = np.clip((np.arange(count) + 0.5) / factor - 0.5, 0, size - 1)
        low = np.minimum(at.astype(int), size - 2)
        return low, at - low

    y, dy = taps(height, image.shape[0])
    x, dx = taps(width, image.shape[1])
    image = image.astype(float)
    dx, dy = dx[None, :, None], dy[:, None, None]
    rows = image[:, x] * (1 - dx) + image[:, x + 1] * dx
    return rows[y] * (1 - dy) + rows[y + 1] * dy


@pytest.mark.parametrize(
    'width, height, expected',
    [
        (1280, 720, (1000, 562)),  # 562.5 to even; mmcv says 563
        (720, 1280, (562, 1000)),
        (1920, 1080, (1000, 562)),
        (500, 375, (800, 600)),
        (641, 427, (901, 600)),
        (333, 500, (600, 901)),
        (1001, 601, (999, 600)),
        (176, 144, (733, 600)),
        (1000, 600, (1000, 600)),
        (600, 1000, (600, 1000)),
        (1999, 151, (1000, 76)),
    ],
)
def test_sizes_and_values(preprocess, tmp_path, width, height, expected):
    image = make_image(width, height)
    path = tmp_path / 'frame.png'
    cv2.imwrite(str(path), image)
    inputs, sample = preprocess(path)
    factor, new_width, new_height = size_in_words(width, height)
    assert (new_width, new_height) == expected
    assert inputs.shape == (1, 3, new_height, new_width)  # no padding
    assert sample.img_shape == (new_height, new_width)
    assert sample.ori_shape == (height, width)
    assert sample.scale_factor == (factor, factor)
    wanted = resample(image, factor, new_width, new_height)[..., ::-1] - MEANS
    wanted = torch.from_numpy(wanted.transpose(2, 0, 1).copy()).float()
    # OpenCV interpolates whole numbers with 11 bits.
    gap = (inputs[0] - wanted).abs()
    assert gap.max() <= 1 and gap.mean() < 0.3
    if factor == 1:
        assert_close(inputs[0], wanted)


def test_exif_orientation_is_ignored(preprocess, tmp_path):
    """As in the release: annotations are of the pixels as they are stored."""
    image = make_image(50, 30)
    path = tmp_path / 'frame.png'
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(image[..., ::-1].copy()).save(path, exif=exif)
    assert cv2.imread(str(path)).shape != image.shape  # it would be turned
    _, sample = preprocess(path)
    assert sample.ori_shape == (30, 50)


@pytest.mark.parametrize('is_flipped', [False, True])
def test_boxes_of_training(cfg, tmp_path, monkeypatch, is_flipped):
    """Mirrored about the last pixel, then scaled; both frames alike are elsewhere."""
    width, height = 1280, 720
    image = make_image(width, height)
    path = tmp_path / 'frame.png'
    cv2.imwrite(str(path), image)
    pipeline = pipeline_of(cfg.train_dataloader)
    draw = 'horizontal' if is_flipped else None
    for transform in pipeline.transforms:
        if hasattr(transform, '_choose_direction'):
            assert transform.prob == 0.5
            monkeypatch.setattr(transform, '_choose_direction', lambda: draw)
    box = [100.0, 50, 299, 149]
    instance = dict(bbox=box, bbox_label=3, ignore_flag=0)
    data = pipeline(dict(img_path=str(path), img_id=0, instances=[instance]))
    found = data['data_samples'].gt_instances
    if is_flipped:
        box = [width - 1 - box[2], box[1], width - 1 - box[0], box[3]]
        image = image[:, ::-1]
    factor = 1000 / 1280
    assert_close(found.bboxes.tensor, torch.tensor([box]) * factor)
    wanted = resample(image, factor, 1000, 562).transpose(2, 0, 1).copy()
    assert np.abs(data['inputs'].numpy() - wanted).max() <= 1


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_a_flipped_box_holds_the_pixels_it_held(direction):
    flip = TRANSFORMS.build(dict(type='LastPixelFlip', prob=1.0, direction=direction))
    image = np.zeros((20, 30, 3), np.uint8)
    image[4:10, 7:19] = 255
    results = dict(img=image, gt_bboxes=np.array([[7.0, 4, 18, 9]], np.float32))
    results = flip(results)
    rows, columns = np.nonzero(results['img'][..., 0])
    found = results['gt_bboxes'][0].tolist()
    assert found == [columns.min(), rows.min(), columns.max(), rows.max()]


def test_masks_and_label_maps_keep_the_size_of_the_image():
    resize = TRANSFORMS.build(dict(type='ShortSideResize', scale=(1000, 600)))
    labels = np.zeros((720, 1280), np.uint8)
    results = resize(dict(img=make_image(1280, 720), gt_seg_map=labels))
    assert results['gt_seg_map'].shape == results['img'].shape[:2] == (562, 1000)
