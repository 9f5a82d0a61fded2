# Without the scale field: S = 1.
_base_ = './dff_rfcn_r101_vid.py'

model = dict(propagation=dict(flow_estimator=dict(scale_channels=None)))
