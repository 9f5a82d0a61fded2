# FlowNet Half without flow data: it trains on pairs with exact flow, made from a folder
# of photographs in the style of Flying Chairs. Tested on nine pairs of Flying Chairs.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/chairs_sample.py']

model = dict(
    type='FlowPretrainer',
    flow_estimator=dict(type='FlowNetS', width=0.5, strides=(8,), scale_channels=None),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='SyntheticMotion',
        img_dir='data/stills',
        crop_size=(320, 448),
        num_objects=(2, 8),
        background=dict(shift=0.05),
    ),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=3000)
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
