# Without the scale field: S = 1.
_base_ = './dff_fcn_mobilenetv2_camvid.py'

model = dict(propagation=dict(flow_estimator=dict(scale_channels=None)))
