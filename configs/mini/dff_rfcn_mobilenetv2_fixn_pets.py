# DFF fix N (paper Tab. 3): the N of Frame is fixed, and F and S are trained.
_base_ = './dff_rfcn_mobilenetv2_pets.py'

model = dict(frozen_modules=['detector'])
load_from = 'work_dirs/frame_rfcn_mobilenetv2_pets_long/iter_400.pth'
