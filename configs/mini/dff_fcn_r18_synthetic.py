# DFF from the Frame checkpoint. F starts from the same weights as in detection.
_base_ = './frame_fcn_r18_synthetic.py'

model = dict(
    _delete_=True,
    type='DFFVideoSegmentor',
    segmentor=_base_.model,
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(
            type='FlowNetS',
            width=0.25,
            strides=(8,),  # the weights are the same at any stride
            scale_channels=128,
            init_cfg=dict(  # configs/flow/flownets_quarter_chained_synthetic.py
                type='Pretrained',
                checkpoint='work_dirs/flownets_quarter_chained_synthetic/iter_1600.pth',
                prefix='flow_estimator.',
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
train_dataloader = dict(dataset=dict(pairs=True))
train_cfg = dict(max_iters=150, val_interval=150)
# N and N_task start from Frame, F from its pre-training.
optim_wrapper = dict(
    optimizer=dict(lr=4e-4),
    paramwise_cfg=dict(custom_keys=dict(segmentor=dict(lr_mult=0.2))),
)
load_from = 'work_dirs/frame_fcn_r18_synthetic/iter_400.pth'
