import cv2
import pytest
import torch
from mmdet.apis import inference_detector
from mmengine.dataset import Compose
from small_inferencers import CLASSES, PIPELINE, same, video
from torch import nn

import dff  # noqa: F401
from dff.apis import VideoInferencer


def test_stock_model_gives_what_mmdet_gives(frame_cfg, checkpoint):
    inferencer = VideoInferencer(frame_cfg, checkpoint)
    frames = video(3)
    samples = list(inferencer(frames))
    inferencer.model.cfg = frame_cfg  # mmdet reads it
    stock = Compose([dict(type='LoadImageFromNDArray'), PIPELINE[1], PIPELINE[3]])
    for i, (frame, sample) in enumerate(zip(frames, samples, strict=True)):
        assert same(sample, inference_detector(inferencer.model, frame, stock))
        assert len(sample.pred_instances) == 20
        assert (sample.frame_id, sample.video_id) == (i, 0)
        assert sample.is_key_frame and sample.offset == 0
        assert sample.inference_seconds > 0
    assert not same(*samples[:2])
    assert inferencer.flow is None and inferencer.flow_stride is None


def test_key_frames_follow_the_interval_and_start_anew_with_every_source(
    dff_cfg, checkpoint
):
    inferencer = VideoInferencer(dff_cfg, checkpoint)
    for video_id in range(2):
        samples, flows = [], []
        for sample in inferencer(video(5)):
            samples.append(sample)
            flows.append(inferencer.flow)
        assert [s.is_key_frame for s in samples] == [True, False, False, True, False]
        assert [s.offset for s in samples] == [0, 1, 2, 0, 1]
        assert [f is None for f in flows] == [s.is_key_frame for s in samples]
        assert {s.video_id for s in samples} == {video_id}
    assert inferencer.flow_stride == 16
    assert flows[1].shape == (1, 2, 4, 6)  # 72 x 100 -> 64 x 89, padded to 64 x 96


def test_interval_one_is_the_image_model_bit_for_bit(frame_cfg, dff_cfg, checkpoint):
    frames = video(4)
    image_model = VideoInferencer(frame_cfg, checkpoint)(frames)
    every = VideoInferencer(dff_cfg, checkpoint, interval=1)(frames)
    third = VideoInferencer(dff_cfg, checkpoint)(frames)
    for i, (a, b, c) in enumerate(zip(image_model, every, third, strict=True)):
        assert same(a, b) and b.is_key_frame
        assert same(a, c) == (i in (0, 3))


def test_frames_are_run_when_they_are_asked_for(dff_cfg):
    taken = []

    def camera():
        for i, image in enumerate(video(10)):
            taken.append(i)
            yield image

    results = VideoInferencer(dff_cfg)(camera())
    assert taken == []
    next(results)
    next(results)
    assert taken == [0, 1]


def test_two_videos_at_once_do_not_mix(dff_cfg, checkpoint):
    inferencer = VideoInferencer(dff_cfg, checkpoint)
    alone = [list(inferencer(video(2, seed=seed))) for seed in range(2)]
    mixed = zip(*(inferencer(video(2, seed=seed)) for seed in range(2)), strict=True)
    for frame_id, samples in enumerate(mixed):
        for mine, sample in zip(alone, samples, strict=True):
            assert sample.is_key_frame == (frame_id == 0)
            assert same(sample, mine[frame_id])


def test_a_change_of_size_is_a_key_frame(dff_cfg):
    frames = video(2) + video(2, size=(100, 72))
    samples = list(VideoInferencer(dff_cfg)(frames))
    assert [s.is_key_frame for s in samples] == [True, False, True, False]
    assert samples[2].ori_shape == (100, 72)


def test_files_are_named_in_the_samples_and_given_with_the_images(frame_cfg, tmp_path):
    frames = video(2)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f'{i}.png'), frame)
    results = VideoInferencer(frame_cfg).with_images(tmp_path)
    for i, (image, sample) in enumerate(results):
        assert (image == frames[i]).all()
        assert sample.img_path == str(tmp_path / f'{i}.png')
        assert sample.video_name == tmp_path.name


def test_config_as_a_path_with_options(dff_cfg, tmp_path):
    dff_cfg.custom_imports = dict(imports=['dff'])
    dff_cfg.dump(tmp_path / 'cfg.py')
    options = {'model.key_frame_scheduler.interval': 2}
    inferencer = VideoInferencer(tmp_path / 'cfg.py', cfg_options=options)
    assert [s.offset for s in inferencer(video(4))] == [0, 1, 0, 1]
    with pytest.raises(FileNotFoundError, match=r'config .*no\.py does not exist'):
        VideoInferencer(tmp_path / 'no.py')
    with pytest.raises(TypeError, match='config must be a path or a Config, got int'):
        VideoInferencer(3)


def test_config_of_a_package():
    name = 'retinanet/retinanet_r18_fpn_1x_coco.py'
    inferencer = VideoInferencer(
        f'mmdet::{name}',
        cfg_options={'test_dataloader.dataset.pipeline.1.scale': (96, 64)},
    )
    for sample in inferencer(video(2)):
        assert sample.is_key_frame and sample.img_shape == (64, 89)
    assert inferencer.dataset_meta['classes'][0] == 'person'
    with pytest.raises(ModuleNotFoundError, match='package no_such.* is not installed'):
        VideoInferencer(f'no_such::{name}')


def test_classes_come_from_the_checkpoint_or_the_config(frame_cfg, checkpoint):
    meta = VideoInferencer(frame_cfg, checkpoint).dataset_meta
    assert tuple(meta['classes']) == ('one', 'two')
    assert tuple(VideoInferencer(frame_cfg).dataset_meta['classes']) == CLASSES
    del frame_cfg.test_dataloader.dataset.dataset.metainfo
    assert len(VideoInferencer(frame_cfg).dataset_meta['classes']) == 80  # COCO


def test_caller_keeps_config_and_frames(dff_cfg):
    before = dff_cfg.pretty_text
    frames = video(1)
    copy = frames[0].copy()
    list(VideoInferencer(dff_cfg, interval=7)(frames))
    assert dff_cfg.pretty_text == before and (frames[0] == copy).all()


@pytest.mark.parametrize(
    ('interval', 'error', 'match'),
    [
        (0, ValueError, 'interval must be at least 1, got 0'),
        (-3, ValueError, 'interval must be at least 1, got -3'),
        (2.5, TypeError, 'interval must be an integer, got 2.5'),
    ],
)
def test_bad_interval(dff_cfg, interval, error, match):
    with pytest.raises(error, match=match):
        VideoInferencer(dff_cfg, interval=interval)


def test_an_interval_wraps_the_config_of_an_image_model(frame_cfg, checkpoint):
    """Stock config and its checkpoint: key frames are the image model's."""
    frames = video(5)
    wanted = list(VideoInferencer(frame_cfg, checkpoint)(frames))
    wrapped = VideoInferencer(frame_cfg, checkpoint, interval=2)
    results = list(wrapped(frames))
    assert [r.is_key_frame for r in results] == [True, False, True, False, True]
    for index in (0, 2, 4):
        assert same(results[index], wanted[index])
    assert type(wrapped.model).__name__ == 'DFFVideoDetector'
    assert wrapped.model.split == 'auto' and 'detector' not in frame_cfg.model


def test_checkpoint_of_another_model(frame_cfg, tmp_path):
    other = tmp_path / 'other.pth'
    torch.save(dict(state_dict=nn.Linear(2, 3).state_dict()), other)
    with pytest.raises(ValueError, match=r"other\.pth is of another model.*'bias'"):
        VideoInferencer(frame_cfg, other)
    torch.save({1: torch.ones(2)}, other)
    with pytest.raises(ValueError, match=r'other\.pth must hold a state_dict'):
        VideoInferencer(frame_cfg, other)
    frame_cfg.model.bbox_head.num_classes = 5
    path = tmp_path / 'five.pth'
    torch.save(dict(state_dict=VideoInferencer(frame_cfg).model.state_dict()), path)
    frame_cfg.model.bbox_head.num_classes = 2
    with pytest.raises(ValueError, match='(?s)of another model.*retina_cls'):
        VideoInferencer(frame_cfg, path)


def test_pipeline_without_a_loader(frame_cfg):
    frame_cfg.test_dataloader.dataset.pipeline = PIPELINE[1:]
    with pytest.raises(ValueError, match='must contain LoadImageFromFile or'):
        VideoInferencer(frame_cfg)


def test_bad_source_is_told_before_the_first_frame(frame_cfg, tmp_path):
    inferencer = VideoInferencer(frame_cfg)
    with pytest.raises(FileNotFoundError, match=r'no\.mp4 does not exist'):
        inferencer(tmp_path / 'no.mp4')
    with pytest.raises(ValueError, match='iterable of frames is empty'):
        next(inferencer([]))
