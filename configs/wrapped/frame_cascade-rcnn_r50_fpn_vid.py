# Frame baseline: the stock detector on every frame.
_base_ = [
    '../_base_/models/cascade-rcnn_r50_fpn.py',
    '../_base_/datasets/vid_frame.py',
    '../_base_/schedules/vid_60k.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=0.01, weight_decay=1e-4))  # stock 0.02 x 8 / 16
