# OpenCV's Farneback flow instead of a flow network, at stride 8 like the networks.
_base_ = './zero_chairs.py'

model = dict(flow_estimator=dict(type='ClassicalFlow', method='farneback'))
