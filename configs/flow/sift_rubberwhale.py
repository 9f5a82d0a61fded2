# SIFT flow with its authors' parameters (SFF-fast), at stride 8 like the networks.
_base_ = './zero_rubberwhale.py'

model = dict(flow_estimator=dict(type='ClassicalFlow', method='sift', preset='fast'))
