# CamVid at 480x360, converted by tools/dataset_converters/camvid2video.py: single
# images and a clip of neighbouring frames for training, a later part of the clip for
# test.
data_root = 'data/camvid/'
file_pattern = dict(frame_step=2)  # the clip has every second frame of 30 Hz

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(480, 360), ratio_range=(0.75, 1.5)),
    dict(type='RandomCrop', crop_size=(256, 320), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='VideoPairDataset',
        dataset=dict(
            type='CamVidDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        ),
        file_pattern=file_pattern,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='VideoSampler'),
    dataset=dict(
        type='VideoPairDataset',
        dataset=dict(
            type='CamVidDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/test', seg_map_path='labels/test'),
        ),
        file_pattern=file_pattern,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='VideoMetric', metric=dict(type='SegIoUMetric')),
    dict(type='TemporalConsistency'),
]
test_evaluator = val_evaluator

# Training pairs: single images with a key frame made by moving them, and as many frames
# of the training part of the clip. Configs use this as their training data.
pairs = dict(
    type='VideoPairDataset',
    dataset=train_dataloader['dataset']['dataset'],
    file_pattern=file_pattern,
    pipeline=train_pipeline,
    offset_range=(0, 18),  # 1.2 s, as far as is tested
    # pole, sign, car, pedestrian, bicyclist; oncoming cars double their size
    still_motion=dict(part_classes=(2, 6, 8, 9, 10), parts=dict(zoom=0.6)),
)
clip_pairs = dict(
    type='RepeatDataset',
    times=13,  # 27 frames x 13, and 389 images
    dataset=dict(pairs, min_video_length=2),
)
