# DFF from the Frame checkpoint, with a FlowNet Half that is pre-trained on motion.
_base_ = [
    '../_base_/models/fcn_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/camvid_joint.py',
    '../_base_/seg_runtime.py',
]

model = dict(
    _delete_=True,
    type='DFFVideoSegmentor',
    segmentor=_base_.model,
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(
            type='FlowNetS',
            width=0.5,
            strides=(8,),
            scale_channels=256,
            init_cfg=dict(  # configs/flow/flownets_half_camvid.py
                type='Pretrained',
                checkpoint='work_dirs/flownets_half_camvid/iter_4000.pth',
                prefix='flow_estimator.',
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=5),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[_base_.pairs, _base_.clip_pairs],
    )
)
load_from = 'work_dirs/frame_fcn_mobilenetv2_camvid_mix/iter_400.pth'
