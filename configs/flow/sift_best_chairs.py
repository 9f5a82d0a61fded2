# SIFT flow with the best parameters (SFF-slow), at stride 8 like the networks.
_base_ = './zero_chairs.py'

model = dict(flow_estimator=dict(type='ClassicalFlow', method='sift', preset='slow'))
