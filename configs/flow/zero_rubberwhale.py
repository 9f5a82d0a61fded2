# Zero flow on Middlebury's RubberWhale.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/rubberwhale.py',
]

model = dict(type='FlowPretrainer', flow_estimator=dict(type='ZeroFlow', strides=(8,)))
