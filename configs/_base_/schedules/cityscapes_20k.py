# paper Sec. 5.1: 20K iterations on 8 GPUs, one image (pair) each, at 1e-3 for the first
# 15K and 1e-4 for the last 5K. Momentum and weight decay are those of the release.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=20000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[15000], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=8, enable=False)  # 8 GPUs x 1
