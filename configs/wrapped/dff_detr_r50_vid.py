# DETR. N_feat is ResNet and the 1x1 layer after it. The encoder attends to all
# positions at once, so it is in N_task.
_base_ = [
    '../_base_/models/detr_r50.py',
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
            strides=(32,),
            scale_channels=256,
            init_cfg=dict(
                type='Pretrained', checkpoint='data/weights/flownets_chairs.pth'
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
optim_wrapper = dict(
    # stock 1e-4 x 8 / 16
    optimizer=dict(_delete_=True, type='AdamW', lr=5e-5, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
)
