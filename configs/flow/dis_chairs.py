# OpenCV's DIS in the place of a flow network, at stride 8 as the networks' fields.
_base_ = './zero_chairs.py'

model = dict(flow_estimator=dict(type='ClassicalFlow', preset='medium'))
