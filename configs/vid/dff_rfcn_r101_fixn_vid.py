# DFF fix N (paper Tab. 3): N as Frame left it, F and S are trained.
_base_ = './dff_rfcn_r101_vid.py'

model = dict(frozen_modules=['detector'])
