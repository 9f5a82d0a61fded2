# Frame baseline: the stock detector on every frame.
_base_ = [
    '../_base_/models/fcos_r50_fpn.py',
    '../_base_/datasets/vid_frame.py',
    '../_base_/schedules/vid_60k.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(
    optimizer=dict(lr=0.005, weight_decay=1e-4),  # stock 0.01 x 8 / 16
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35, norm_type=2),
)
