# Frame baseline: the stock detector on every frame.
_base_ = [
    '../_base_/models/centernet_r18.py',
    '../_base_/datasets/vid_frame.py',
    '../_base_/schedules/vid_60k.py',
    '../_base_/default_runtime.py',
]

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
