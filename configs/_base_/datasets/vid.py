# ImageNet VID and DET, converted by tools/dataset_converters/imagenet2cocovid.py. Each
# rank draws VID and DET at 2 : 1 (paper Sec. 5.1). Frame detectors inherit this file
# too and set pairs=False in both data sets.
data_root = 'data/ILSVRC2015/'
scale = (1000, 600)  # paper Sec. 5: shorter side 600, longer at most 1000
offset_range = (0, 9)  # i - k, paper Sec. 5

# Annotations refer to the pixels as stored, whatever the EXIF orientation.
train_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='LastPixelFlip', prob=0.5),
    dict(type='ShortSideResize', scale=scale),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='ShortSideResize', scale=scale),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]

train_dataloader = dict(
    batch_size=1,  # x 8 GPUs, paper Sec. 5.1
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='RatioSampler', ratio=[2, 1]),  # VID : DET
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type='VideoPairDataset',
                dataset=dict(
                    type='CocoVIDDataset',
                    data_root=data_root,
                    ann_file='annotations/vid_train.json',
                    data_prefix=dict(img='Data/VID/'),
                    filter_cfg=dict(filter_empty_gt=True),
                ),
                pipeline=train_pipeline,
                offset_range=offset_range,
            ),
            dict(
                type='VideoPairDataset',
                dataset=dict(
                    type='CocoVIDDataset',
                    data_root=data_root,
                    ann_file='annotations/det_train.json',
                    data_prefix=dict(img='Data/DET/'),
                    filter_cfg=dict(filter_empty_gt=True),
                ),
                pipeline=train_pipeline,
                as_stills=True,  # k = i
            ),
        ],
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
            ann_file='annotations/vid_val.json',
            data_prefix=dict(img='Data/VID/'),
        ),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

# also AP of slow, medium and fast objects (FGFA, Sec. 4)
val_evaluator = dict(type='VIDMetric', with_motion_split=True)
test_evaluator = val_evaluator
