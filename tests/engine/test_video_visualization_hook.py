from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData, PixelData
from mmengine.visualization import Visualizer
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

from dff.engine import VideoVisualizationHook
from dff.engine.video_visualization_hook import frame_name, mark_key_frame


@pytest.fixture
def frames(tmp_path):
    """Equal grey frames of two videos, with the same file names."""
    paths = [tmp_path / video / '000000.png' for video in 'ab']
    for path in paths:
        path.parent.mkdir()
        assert cv2.imwrite(str(path), np.full((120, 160, 3), 128, np.uint8))
    return paths


@pytest.fixture(autouse=True)
def current_visualizer():
    """A hook looks for the one that the runner made."""
    Visualizer.get_instance('runner')


def detections(path, *, is_key, offset):
    meta = dict(img_path=str(path), video_name=path.parent.name, is_key_frame=is_key,
                offset=offset, ori_shape=(120, 160))  # fmt: skip
    boxes = torch.tensor([[60.0, 40.0, 120.0, 90.0]])
    sample = DetDataSample(metainfo=meta)
    sample.pred_instances = InstanceData(
        bboxes=boxes, scores=torch.ones(1), labels=torch.zeros(1, dtype=torch.long)
    )
    return sample


def draw(hook, visualizer, samples):
    hook._visualizer = visualizer
    hook.after_test_iter(SimpleNamespace(), 0, {}, samples)


def test_each_video_has_a_folder_and_key_frames_are_marked(frames, tmp_path):
    hook = VideoVisualizationHook(str(tmp_path / 'out'), draw=True)
    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = dict(classes=('thing',), palette=[(0, 255, 0)])
    draw(hook, visualizer, [detections(frames[0], is_key=True, offset=0),
                            detections(frames[1], is_key=False, offset=3)])  # fmt: skip
    found = sorted(p.relative_to(tmp_path / 'out') for p in tmp_path.rglob('out/*/*'))
    assert [p.as_posix() for p in found] == ['a/000000.png', 'b/000000.png']
    key, other = (cv2.imread(str(tmp_path / 'out' / p)) for p in found)
    assert (key[-1, 40:] != 128).any(-1).all()  # the border of a key frame
    assert (other[-1, 40:] == 128).all()
    for image in (key, other):  # the box, in the middle of its left side
        assert np.ptp(image[60, 58:63].astype(int), axis=0).max() > 60


def test_nothing_is_drawn_unless_asked(frames, tmp_path):
    hook = VideoVisualizationHook(str(tmp_path / 'out'))
    draw(hook, None, [detections(frames[0], is_key=True, offset=0)])
    assert not (tmp_path / 'out').exists()


def test_segmentations_are_drawn_too(frames, tmp_path):
    hook = VideoVisualizationHook(str(tmp_path / 'out'), draw=True)
    visualizer = SegLocalVisualizer(alpha=1.0)
    visualizer.dataset_meta = dict(classes=('x', 'y'), palette=[[0] * 3, [255, 0, 0]])
    labels = torch.zeros(1, 120, 160, dtype=torch.long)
    labels[:, 60:, 80:] = 1
    sample = SegDataSample(metainfo=dict(img_path=str(frames[0]), video_id=7))
    sample.pred_sem_seg = PixelData(data=labels)
    draw(hook, visualizer, [sample])
    image = cv2.imread(str(tmp_path / 'out' / '7' / '000000.png'))
    assert image[118, 158].tolist() == [0, 0, 255]


@pytest.mark.parametrize('content', [b'', b'no image'])
def test_an_unreadable_frame_is_named(frames, content):
    frames[0].write_bytes(content)
    hook = VideoVisualizationHook('out', draw=True)
    with pytest.raises(ValueError, match=r'a/000000\.png is not a readable image'):
        draw(hook, None, [detections(frames[0], is_key=True, offset=0)])


@pytest.mark.parametrize(
    'metainfo, expected',
    [
        (dict(img_path='/x/y/1.jpg', video_name='train/v1'), 'train/v1/1.jpg'),
        (dict(img_path='/x/y/1.jpg', video_id=0), '0/1.jpg'),
        (dict(img_path='/x/y/1.jpg'), 'y/1.jpg'),
        (dict(img_path='y/1.jpg', asked_offset=3, offset=2), 'y/1_offset3.jpg'),
        (dict(img_path='y/1.jpg', offset=3), 'y/1.jpg'),  # of a stream
        (dict(img_path='1.jpg', video_name='/etc/../../v'), 'etc/v/1.jpg'),
    ],
)
def test_frames_stay_inside_of_the_folder(metainfo, expected):
    assert frame_name(metainfo).as_posix() == expected


def test_marking_leaves_the_frame_as_it_was():
    image = np.full((60, 80, 3), 128, np.uint8)
    assert mark_key_frame(image, {}) is image
    marked = mark_key_frame(image, dict(is_key_frame=True, offset=0))
    assert (image == 128).all() and (marked != 128).any()
