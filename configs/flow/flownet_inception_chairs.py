# FlowNet Inception (paper Tab. 8; its decoder is fitted, see docs/conventions.md).
_base_ = './flownets_chairs.py'

model = dict(
    flow_estimator=dict(
        _delete_=True, type='FlowNetInception', strides=(8,), scale_channels=None
    )
)
