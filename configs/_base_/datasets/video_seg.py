# Videos of your own: images/SPLIT/VIDEO/FRAME.jpg and, for any of these frames,
# labels/SPLIT/VIDEO/FRAME.png; see docs/own_data.md.
data_root = 'data/video_seg/'
metainfo = dict(classes=('background', 'object'))  # labels 0, 1; 255 is void

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
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
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='VideoPairDataset',
        dataset=dict(
            type='VideoSegDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
            metainfo=metainfo,
        ),
        pipeline=train_pipeline,
        offset_range=(0, 9),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='VideoSampler'),
    dataset=dict(
        type='VideoPairDataset',
        dataset=dict(
            type='VideoSegDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/test', seg_map_path='labels/test'),
            metainfo=metainfo,
        ),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='VideoMetric', metric=dict(type='SegIoUMetric'))
test_evaluator = val_evaluator
