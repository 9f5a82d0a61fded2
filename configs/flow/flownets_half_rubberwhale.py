# Test of any FlowNet Half checkpoint on Middlebury's RubberWhale.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/rubberwhale.py',
]

model = dict(
    type='FlowPretrainer',
    flow_estimator=dict(type='FlowNetS', width=0.5, strides=(8,), scale_channels=None),
)
