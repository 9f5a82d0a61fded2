# FlowNet Half on Middlebury's RubberWhale, for test: any checkpoint of it.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/rubberwhale.py',
]

model = dict(
    type='FlowPretrainer',
    flow_estimator=dict(type='FlowNetS', width=0.5, strides=(8,), scale_channels=None),
)
