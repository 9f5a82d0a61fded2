# DFF fix N (paper Tab. 3): the N of Frame is fixed, and F and S are trained.
_base_ = './dff_fcn_mobilenetv2_camvid.py'

model = dict(frozen_modules=['segmentor'])
load_from = 'work_dirs/frame_fcn_mobilenetv2_camvid_long/iter_200.pth'
