# DFF fix F (paper Tab. 3): the pre-trained F is fixed and N is trained.
_base_ = './dff_fcn_mobilenetv2_camvid.py'

model = dict(frozen_modules=['propagation.flow_estimator'])
