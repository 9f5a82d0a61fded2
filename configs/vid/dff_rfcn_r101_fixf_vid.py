# DFF fix F (paper Tab. 3): the pre-trained F is fixed and N is trained.
_base_ = './dff_rfcn_r101_vid.py'

model = dict(frozen_modules=['propagation.flow_estimator'])
