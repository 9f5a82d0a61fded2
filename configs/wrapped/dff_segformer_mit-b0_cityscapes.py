# SegFormer: four levels, propagated at their own strides.
_base_ = [
    'mmseg::_base_/models/segformer_mit-b0.py',
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
            strides=(4, 8, 16, 32),
            scale_channels=[32, 64, 160, 256],
            init_cfg=dict(
                type='Pretrained', checkpoint='data/weights/flownets_chairs.pth'
            ),
        ),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=5),
)
optim_wrapper = dict(  # stock
    optimizer=dict(_delete_=True, type='AdamW', lr=6e-5, weight_decay=0.01),
)
