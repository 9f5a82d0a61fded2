# Without the scale field: S = 1.
_base_ = './dff_fcn_r101_cityscapes.py'

model = dict(propagation=dict(flow_estimator=dict(scale_channels=None)))
