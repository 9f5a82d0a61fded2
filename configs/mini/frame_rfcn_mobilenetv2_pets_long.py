# Frame, trained for as many more iterations and at the same rate as the N of DFF.
_base_ = './frame_rfcn_mobilenetv2_pets.py'

train_cfg = dict(max_iters=400, val_interval=400)
default_hooks = dict(checkpoint=dict(interval=200))
optim_wrapper = dict(optimizer=dict(lr=4e-5))
load_from = 'work_dirs/frame_rfcn_mobilenetv2_pets/iter_900.pth'
