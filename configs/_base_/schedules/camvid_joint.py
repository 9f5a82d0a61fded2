# 200 iterations from a trained Frame model.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=200, val_interval=200)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-2),
    paramwise_cfg=dict(
        custom_keys={
            # N and F are already trained; a higher rate makes both worse
            'backbone': dict(lr_mult=0.01),
            'neck': dict(lr_mult=0.02),
            'decode_head': dict(lr_mult=0.02),
            'propagation.flow_estimator': dict(lr_mult=0.25),
            'propagation.flow_estimator.predict_scale': dict(lr_mult=5.0),
        },
        norm_decay_mult=0,
    ),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.01, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=20, eta_min_ratio=0.01),
]
custom_hooks = [dict(type='ChannelsLastHook')]
auto_scale_lr = dict(base_batch_size=4, enable=False)  # 1 device x 4
