# FCOS. N_feat is ResNet and FPN; strides are those of its five levels.
_base_ = [
    '../_base_/models/fcos_r50_fpn.py',
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
            strides=(8, 16, 32, 64, 128),
            scale_channels=256,
            init_cfg=dict(
                type='Pretrained', checkpoint='data/weights/flownets_chairs.pth'
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
optim_wrapper = dict(
    optimizer=dict(lr=0.005, weight_decay=1e-4),  # stock 0.01 x 8 / 16
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35, norm_type=2),
)
