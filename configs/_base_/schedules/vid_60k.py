# paper Sec. 5.1: 60K iterations on 8 GPUs, one image (pair) each.
# 8 x 60K = 480K samples, at 2 : 1 320K of VID and 160K of DET: 5.5 and 3 passes over
# the released lists (57,834 and 53,639). The rate is for the mean gradient over 8
# samples; momentum and weight decay, which the paper leaves out, are the release's.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=60000, val_interval=60000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[40000], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=8, enable=False)  # 8 GPUs x 1
