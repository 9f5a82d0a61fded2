# DFF separate (paper Tab. 3): the weights of Frame and of a pre-trained F, joined in
# one file by tools/model_converters/join_checkpoints.py. For test only.
_base_ = './dff_fcn_r101_cityscapes.py'

model = dict(propagation=dict(flow_estimator=dict(scale_channels=None)))
