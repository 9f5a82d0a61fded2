# CenterNet. N_feat is ResNet and its deconvolutions: one level of stride 4.
_base_ = [
    '../_base_/models/centernet_r18.py',
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
            strides=(4,),
            scale_channels=64,
            init_cfg=dict(
                type='Pretrained', checkpoint='data/weights/flownets_chairs.pth'
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
optim_wrapper = dict(
    optimizer=dict(lr=1.25e-3, weight_decay=1e-4),  # stock 0.02 x 8 / 128
    clip_grad=dict(max_norm=35, norm_type=2),
)

# Boxes are shifted back by the border of this padding.
test_pipeline = [
    dict(
        type='LoadImageFromFile',
        color_type='color_ignore_orientation',
        to_float32=True,
    ),
    dict(type='ShortSideResize', scale=_base_.scale),
    dict(
        type='RandomCenterCropPad',
        ratios=None,
        border=None,
        mean=[0, 0, 0],
        std=[1, 1, 1],
        to_rgb=True,
        test_mode=True,
        test_pad_mode=['logical_or', 31],
        test_pad_add_pix=1,
    ),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=(
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'border',
        ),
    ),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
