# People in two MOT sequences, converted as in docs/own_data.md. Frames 0-599 of
# PETS09-S2L1 are for training, 600-794 for test; TUD-Stadtmitte is
# annotations/tud.json. Frame detectors inherit this file too and set
# train_dataloader.dataset.pairs=False.
data_root = 'data/mot/'
scale = (1024, 768)  # 4/3 of PETS09-S2L1, whose people are 28 pixels wide

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    # People in TUD-Stadtmitte are twice as tall as in the training data.
    dict(type='RandomResize', scale=scale, ratio_range=(0.75, 1.8), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(384, 512), allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
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
            ann_file='annotations/pets_train.json',
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
            ann_file='annotations/pets_test.json',
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
