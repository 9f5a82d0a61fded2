# Cityscapes with leftImg8bit_sequence, arranged as in docs/own_data.md: snippets of 30
# frames at 17 Hz with the 20th labelled, 2975 for training and 500 for validation.
data_root = 'data/cityscapes/'
scale = (2048, 1024)  # paper Sec. 5.1: shorter side 1024, whole frames
offset_range = (0, 9)  # i - k, paper Sec. 3

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations'),  # unscaled: predictions are scaled to it
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=1,  # x 8 GPUs, paper Sec. 5.1: 20K iterations are 54 times all snippets
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='VideoPairDataset',
        dataset=dict(
            type='CityscapesSequenceDataset',
            data_root=data_root,
            data_prefix=dict(
                img_path='leftImg8bit_sequence/train', seg_map_path='gtFine/train'
            ),
        ),
        pipeline=train_pipeline,
        offset_range=offset_range,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='VideoSampler'),
    dataset=dict(
        type='VideoPairDataset',
        dataset=dict(
            type='CityscapesSequenceDataset',
            data_root=data_root,
            data_prefix=dict(
                img_path='leftImg8bit_sequence/val', seg_map_path='gtFine/val'
            ),
        ),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='VideoMetric', metric=dict(type='SegIoUMetric'))
test_evaluator = val_evaluator
