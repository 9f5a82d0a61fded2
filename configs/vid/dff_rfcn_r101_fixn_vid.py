# DFF fix N (paper Tab. 3): the N of Frame is fixed, and F and S are trained.
_base_ = './dff_rfcn_r101_vid.py'

model = dict(frozen_modules=['detector'])
