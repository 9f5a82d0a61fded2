# FlowNet Half: half the channels of FlowNet in every layer.
_base_ = './flownets_chairs.py'

model = dict(flow_estimator=dict(width=0.5))
