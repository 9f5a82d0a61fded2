# OpenCV's DIS as F, without a scale field: the propagation has no weights.
_base_ = [
    '../_base_/models/rfcn_mobilenetv2.py',
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
        flow_estimator=dict(type='ClassicalFlow', strides=(16,)),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
train_cfg = dict(max_iters=900, val_interval=450)
default_hooks = dict(checkpoint=dict(interval=450))
optim_wrapper = dict(optimizer=dict(lr=5e-5))  # a tenth of Frame's: a fine tuning
load_from = 'work_dirs/frame_rfcn_mobilenetv2_pets/iter_900.pth'
