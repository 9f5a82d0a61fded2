# DFF from the Frame checkpoint, with a narrow FlowNet that is pre-trained on motion.
_base_ = './frame_rfcn_r18_synthetic.py'

model = dict(
    _delete_=True,
    type='DFFVideoDetector',
    detector=_base_.model,
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(
            type='FlowNetS',
            width=0.25,
            strides=(16,),
            scale_channels=256,
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
train_cfg = dict(max_iters=300, val_interval=300)
# N and N_task start from Frame, F from its pre-training.
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys=dict(detector=dict(lr_mult=0.2))),
)
load_from = 'work_dirs/frame_rfcn_r18_synthetic/iter_1200.pth'
