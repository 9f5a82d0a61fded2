# SIFT flow with the best parameters (SFF-slow), at stride 8 as the networks' fields.
_base_ = './zero_chairs.py'

model = dict(flow_estimator=dict(type='ClassicalFlow', method='sift', preset='slow'))
