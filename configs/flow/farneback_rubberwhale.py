# OpenCV's Farneback flow in the place of a flow network, at stride 8 as the networks'.
_base_ = './zero_rubberwhale.py'

model = dict(flow_estimator=dict(type='ClassicalFlow', method='farneback'))
