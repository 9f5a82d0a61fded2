# Videos with instance masks of COCO's classes in CocoVID format (docs/own_data.md).
# Frame detectors inherit this file too and set train_dataloader.dataset.pairs=False.
data_root = 'data/video_masks/'
scale = (1333, 800)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='PackDetInputs'),
]

train_dataloader = dict(
    batch_size=1,  # x 8 GPUs
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='VideoPairDataset',
        dataset=dict(
            type='CocoVIDDataset',
            data_root=data_root,
            ann_file='annotations/train.json',
            data_prefix=dict(img='images/'),
            filter_cfg=dict(filter_empty_gt=True),
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
            type='CocoVIDDataset',
            data_root=data_root,
            ann_file='annotations/val.json',
            data_prefix=dict(img='images/'),
        ),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='VideoMetric', metric=dict(type='CocoMetric', metric=['bbox', 'segm'])
)
test_evaluator = val_evaluator
