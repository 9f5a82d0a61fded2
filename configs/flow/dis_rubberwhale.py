# OpenCV's DIS instead of a flow network, at stride 8 like the networks.
_base_ = './zero_rubberwhale.py'

model = dict(flow_estimator=dict(type='ClassicalFlow', preset='medium'))
