# Frame baseline: the stock detector on every frame.
_base_ = [
    '../_base_/models/rtmdet_tiny.py',
    '../_base_/datasets/vid_frame.py',
    '../_base_/schedules/vid_60k.py',
    '../_base_/default_runtime.py',
]

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
