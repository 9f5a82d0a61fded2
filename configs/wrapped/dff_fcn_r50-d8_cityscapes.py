# Any stock segmentor becomes a video segmentor by wrapping its config. Its auxiliary
# head reads level 2 in training, its decode head level 3; both have stride 8.
_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/cityscapes_sequence.py',
    '../_base_/schedules/cityscapes_20k.py',
    '../_base_/seg_runtime.py',
]

model = dict(
    _delete_=True,
    type='DFFVideoSegmentor',
    segmentor=dict(
        _base_.model,
        data_preprocessor=dict(_base_.model.data_preprocessor, size_divisor=32),
    ),
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(
            type='FlowNetS',
            strides=(8, 8),
            scale_channels=[1024, 2048],
            init_cfg=dict(
                type='Pretrained', checkpoint='data/weights/flownets_chairs.pth'
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=5),
)
