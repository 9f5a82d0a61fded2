# OpenCV's DIS as F, S = 1. Test it with the Frame checkpoint, or train N with it.
_base_ = './frame_fcn_r18_synthetic.py'

model = dict(
    _delete_=True,
    type='DFFVideoSegmentor',
    segmentor=_base_.model,
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(type='ClassicalFlow', preset='medium', strides=(8,)),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
train_dataloader = dict(dataset=dict(pairs=True))
train_cfg = dict(max_iters=150, val_interval=150)
optim_wrapper = dict(optimizer=dict(lr=8e-5))  # a fine tuning
load_from = 'work_dirs/frame_fcn_r18_synthetic/iter_400.pth'
