# The videos of synthetic.py with their label maps, for segmentation. Frame segmentors
# inherit this file too and set train_dataloader.dataset.pairs=False.
data = dict(
    type='VideoSegDataset',
    data_root='data/synthetic/',
    data_prefix=dict(img_path='frames'),  # and labels/
    metainfo=dict(
        classes=('background', 'circle', 'square', 'triangle'),
        palette=[[90, 90, 90], [220, 50, 50], [50, 180, 70], [60, 110, 230]],
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomFlip',
        prob=[0.25] * 3,
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    dict(type='PhotoMetricDistortion'),  # a colour says nothing about a shape
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
        dataset=dict(data, videos='train_*'),
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
        dataset=dict(data, videos='test_*'),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='VideoMetric', metric=dict(type='SegIoUMetric'))
test_evaluator = val_evaluator
