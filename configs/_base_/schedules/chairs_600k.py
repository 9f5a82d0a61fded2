# FlowNet's schedule (Dosovitskiy et al., ICCV 2015, Sec. 4.2).
train_cfg = dict(type='IterBasedTrainLoop', max_iters=600000, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)),
)
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=False,
        milestones=[300000, 400000, 500000],
        gamma=0.5,
    ),
]
