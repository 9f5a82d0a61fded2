# FlowNet (Simple) pre-trained on Flying Chairs (paper Sec. 5.1), flow at stride 8.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/flying_chairs.py',
    '../_base_/schedules/chairs_600k.py',
]

model = dict(
    type='FlowPretrainer',
    flow_estimator=dict(type='FlowNetS', strides=(8,), scale_channels=None),
)
default_hooks = dict(checkpoint=dict(interval=10000, save_best='flow/epe', rule='less'))
