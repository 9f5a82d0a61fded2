# Without the scale field: S = 1.
_base_ = './dff_rfcn_mobilenetv2_pets.py'

model = dict(propagation=dict(flow_estimator=dict(scale_channels=None)))
