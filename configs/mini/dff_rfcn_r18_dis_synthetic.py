# DIS of OpenCV as F, without a scale field: nothing to train in the propagation.
_base_ = './frame_rfcn_mobilenetv2_synthetic.py'

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
train_dataloader = dict(dataset=dict(pairs=True))
optim_wrapper = dict(optimizer=dict(lr=5e-5))  # a tenth of Frame's: a fine tuning
load_from = 'work_dirs/frame_rfcn_mobilenetv2_synthetic/iter_2000.pth'
