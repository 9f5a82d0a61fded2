# DFF of the paper: a key frame every 5 frames; N, F and S are trained together.
_base_ = [
    '../_base_/models/fcn_r101.py',
    '../_base_/datasets/cityscapes_sequence.py',
    '../_base_/schedules/cityscapes_20k.py',
    '../_base_/seg_runtime.py',
]

model = dict(
    _delete_=True,
    type='DFFVideoSegmentor',
    segmentor=_base_.model,
    labels_only=True,  # 19 maps of 1024 x 2048 are never written
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(
            type='FlowNetS',
            strides=(16,),
            scale_channels=1024,
            # FlowNet pre-trained on Flying Chairs (paper Sec. 4)
            init_cfg=dict(
                type='Pretrained', checkpoint='data/weights/flownets_chairs.pth'
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=5),
)
