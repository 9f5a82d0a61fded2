# DFF from the Frame checkpoint, with a narrow FlowNet that is pre-trained on motion.
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
        flow_estimator=dict(
            type='FlowNetS',
            width=0.25,
            strides=(16,),
            scale_channels=256,
            init_cfg=dict(  # configs/flow/flownets_quarter_chained_pets_long.py
                type='Pretrained',
                checkpoint='work_dirs/flownets_quarter_chained_pets_long/iter_1200.pth',
                prefix='flow_estimator.',
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
train_cfg = dict(max_iters=400, val_interval=400)
default_hooks = dict(checkpoint=dict(interval=200))
# N and N_task start from Frame, F from its pre-training.
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys=dict(detector=dict(lr_mult=0.2))),
)
load_from = 'work_dirs/frame_rfcn_mobilenetv2_pets/iter_900.pth'
