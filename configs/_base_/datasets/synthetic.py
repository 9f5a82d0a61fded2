# Videos of moving shapes, from tools/dataset_converters/make_synthetic_video.py. Frame
# detectors inherit this file too and set train_dataloader.dataset.pairs=False.
data_root = 'data/synthetic/'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='RandomFlip',
        prob=[0.25] * 3,
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    dict(type='PhotoMetricDistortion'),  # a colour says nothing about a shape
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='VideoPairDataset',
        dataset=dict(
            type='CocoVIDDataset',
            data_root=data_root,
            ann_file='annotations/train.json',
            data_prefix=dict(img='frames/'),
        ),
        pipeline=train_pipeline,
        offset_range=(0, 9),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='VideoSampler'),
    dataset=dict(
        type='VideoPairDataset',
        dataset=dict(
            type='CocoVIDDataset',
            data_root=data_root,
            ann_file='annotations/test.json',
            data_prefix=dict(img='frames/'),
        ),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='VIDMetric'),
    dict(type='VideoMetric', metric=dict(type='CocoMetric', metric='bbox')),
]
test_evaluator = val_evaluator
