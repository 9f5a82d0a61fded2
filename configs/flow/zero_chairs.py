# Zero flow on Flying Chairs pairs: the error is the mean length of the motion. It has
# no weights: python tools/test.py configs/flow/zero_chairs.py none
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/chairs_sample.py',
]

model = dict(type='FlowPretrainer', flow_estimator=dict(type='ZeroFlow', strides=(8,)))
