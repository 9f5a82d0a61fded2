# SIFT flow as its authors set it (SFF-fast), at stride 8 as the networks' fields.
_base_ = './zero_chairs.py'

model = dict(flow_estimator=dict(type='ClassicalFlow', method='sift', preset='fast'))
