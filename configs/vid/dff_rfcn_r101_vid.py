# DFF of the paper: a key frame every 10 frames; N, F and S are trained together. The
# model is that of the release. Its training is in dff_rfcn_r101_vid_release.py.
_base_ = [
    '../_base_/models/rfcn_r101.py',
    '../_base_/datasets/vid.py',
    '../_base_/schedules/vid_60k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='DFFVideoDetector',
    detector=_base_.model,
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
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
