# DFF fix N (paper Tab. 3): the N of Frame is fixed, and F and S are trained.
_base_ = './dff_fcn_r101_cityscapes.py'

model = dict(frozen_modules=['segmentor'])
