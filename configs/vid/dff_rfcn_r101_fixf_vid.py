# DFF fix F (paper Tab. 3): F as its pre-training left it, N is trained.
_base_ = './dff_rfcn_r101_vid.py'

model = dict(frozen_modules=['propagation.flow_estimator'])
