# FlowNet Half that learns motion from moved training images of CamVid and from the
# training part of its clip. Labels are used only to move whole objects. configs/camvid
# starts from it.
_base_ = '../_base_/default_runtime.py'

crop_size = (320, 448)
model = dict(
    type='FlowPretrainer',
    flow_estimator=dict(type='FlowNetS', width=0.5, strides=(8,), scale_channels=None),
    motion_weight=2.0,
)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type='SyntheticMotion',
                img_dir='data/camvid/images/train',
                label_dir='data/camvid/labels/train',
                part_classes=(2, 6, 8, 9, 10),  # pole, sign, car, pedestrian, bicyclist
                objects=dict(zoom=0.6),  # oncoming cars double their size
                crop_size=crop_size,
            ),
            dict(
                type='RepeatDataset',
                times=8,  # 27 frames x 8, half as many as images
                dataset=dict(
                    type='ChainedFlowDataset',
                    dataset=dict(
                        type='mmseg.CamVidDataset',
                        data_root='data/camvid/',
                        data_prefix=dict(
                            img_path='images/train', seg_map_path='labels/train'
                        ),
                    ),
                    file_pattern=dict(frame_step=2),
                    crop_size=crop_size,
                    offset_range=(0, 18),  # 1.2 s
                    ratio_range=(0.9, 1.6),
                    working_scale=1.0,
                ),
            ),
        ],
    ),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=8e-4, weight_decay=4e-4),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.01, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, eta_min_ratio=0.01),
]
default_hooks = dict(checkpoint=dict(interval=500))
