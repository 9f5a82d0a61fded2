# A narrow FlowNet that learns the motion of PETS09-S2L1 (frames 0-599) from chained
# classical flow, without labels. The video models of configs/mini start from it.
_base_ = '../_base_/default_runtime.py'

model = dict(
    type='FlowPretrainer',
    flow_estimator=dict(
        type='FlowNetS', width=0.25, strides=(16,), scale_channels=None
    ),
    motion_weight=9.0,  # nine tenths of the picture stand still
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ChainedFlowDataset',
        dataset=dict(
            type='CocoVIDDataset',
            data_root='data/mot/',
            ann_file='annotations/pets_train.json',
        ),
        crop_size=(384, 512),
        offset_range=(0, 9),
        ratio_range=(1.0, 1.8),  # tested at 4/3
    ),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=800)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-4, weight_decay=4e-4),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.01, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, eta_min_ratio=0.01),
]
