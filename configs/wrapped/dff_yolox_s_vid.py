# YOLOX-s. N_feat is CSPDarknet and its PAFPN; strides are those of its three levels.
_base_ = [
    '../_base_/models/yolox_s.py',
    '../_base_/datasets/vid.py',
    '../_base_/schedules/vid_60k.py',
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
            strides=(8, 16, 32),
            scale_channels=128,
            init_cfg=dict(
                type='Pretrained', checkpoint='data/weights/flownets_chairs.pth'
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
optim_wrapper = dict(
    optimizer=dict(lr=1.25e-3, nesterov=True),  # stock 0.01 x 8 / 64
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
custom_hooks = [  # stock
    dict(
        type='EMAHook',
        ema_type='ExpMomentumEMA',
        momentum=0.0001,
        update_buffers=True,
        priority=49,
    ),
]
