# "Frame" of the paper: R-FCN on every frame.
_base_ = [
    '../_base_/models/rfcn_r101.py',
    '../_base_/datasets/vid_frame.py',
    '../_base_/schedules/vid_60k.py',
    '../_base_/default_runtime.py',
]
