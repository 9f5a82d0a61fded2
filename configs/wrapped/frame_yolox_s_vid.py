# Frame baseline: the stock detector on every frame.
_base_ = [
    '../_base_/models/yolox_s.py',
    '../_base_/datasets/vid_frame.py',
    '../_base_/schedules/vid_60k.py',
    '../_base_/default_runtime.py',
]

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
