# Frame baseline: the stock detector on every frame.
_base_ = [
    '../_base_/models/detr_r50.py',
    '../_base_/datasets/vid_frame.py',
    '../_base_/schedules/vid_60k.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(
    # stock 1e-4 x 8 / 16
    optimizer=dict(_delete_=True, type='AdamW', lr=5e-5, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
)
