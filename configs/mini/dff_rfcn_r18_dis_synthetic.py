# OpenCV's DIS as F, without a scale field: the propagation has no weights. The faster
# presets lose shapes that move by their own width within l frames.
_base_ = './frame_rfcn_r18_synthetic.py'

model = dict(
    _delete_=True,
    type='DFFVideoDetector',
    detector=_base_.model,
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(type='ClassicalFlow', preset='medium', strides=(16,)),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
train_dataloader = dict(dataset=dict(pairs=True))
train_cfg = dict(max_iters=200, val_interval=200)
optim_wrapper = dict(optimizer=dict(lr=5e-5))  # a fine tuning
load_from = 'work_dirs/frame_rfcn_r18_synthetic/iter_1200.pth'
