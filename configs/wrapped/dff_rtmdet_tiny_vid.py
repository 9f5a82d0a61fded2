# RTMDet-tiny. N_feat is CSPNeXt and its PAFPN; strides are those of its three levels.
_base_ = [
    '../_base_/models/rtmdet_tiny.py',
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
            scale_channels=96,
            init_cfg=dict(
                type='Pretrained', checkpoint='data/weights/flownets_chairs.pth'
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
optim_wrapper = dict(
    # stock 0.004 x 8 / 256
    optimizer=dict(_delete_=True, type='AdamW', lr=1.25e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, bypass_duplicate=True),
)
custom_hooks = [  # stock
    dict(
        type='EMAHook',
        ema_type='ExpMomentumEMA',
        momentum=0.0002,
        update_buffers=True,
        priority=49,
    ),
]
