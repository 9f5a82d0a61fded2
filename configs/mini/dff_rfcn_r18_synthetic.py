# DFF from the Frame checkpoint, with a narrow FlowNet.
_base_ = './frame_rfcn_mobilenetv2_synthetic.py'

model = dict(
    _delete_=True,
    type='DFFVideoDetector',
    detector=_base_.model,
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(
            type='FlowNetS', width=0.25, strides=(16,), scale_channels=256
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
train_dataloader = dict(dataset=dict(pairs=True))
# N and N_task start from Frame: a tenth of its learning rate; F and S are new.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(detector=dict(lr_mult=0.1))))
load_from = 'work_dirs/frame_rfcn_mobilenetv2_synthetic/iter_2000.pth'
