# A small RetinaNet with OpenCV's DIS as F. Test it with the Frame checkpoint, or train
# N through the propagation; model.split says where.
_base_ = [
    '../_base_/models/retinanet_mobilenetv2.py',
    '../_base_/datasets/mot_mini.py',
    '../_base_/schedules/mini_2k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='DFFVideoDetector',
    detector=_base_.model,
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(type='ClassicalFlow', preset='medium'),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
train_cfg = dict(max_iters=80, val_interval=80)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.01, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=20, eta_min_ratio=0.01),
]
default_hooks = dict(checkpoint=dict(interval=40))
custom_hooks = [dict(type='ChannelsLastHook')]
optim_wrapper = dict(optimizer=dict(lr=2.5e-5))  # a twentieth of Frame's
load_from = 'work_dirs/frame_retinanet_mobilenetv2_pets/iter_400.pth'
