# People in PETS09-S2L1, frame by frame.
_base_ = [
    '../_base_/models/rfcn_mobilenetv2.py',
    '../_base_/datasets/mot_mini.py',
    '../_base_/schedules/mini_2k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(pairs=False))
train_cfg = dict(max_iters=900, val_interval=450)
default_hooks = dict(checkpoint=dict(interval=450))
