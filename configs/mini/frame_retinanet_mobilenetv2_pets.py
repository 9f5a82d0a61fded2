# A small RetinaNet on people in PETS09-S2L1, frame by frame.
_base_ = [
    '../_base_/models/retinanet_mobilenetv2.py',
    '../_base_/datasets/mot_mini.py',
    '../_base_/schedules/mini_2k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(pairs=False))
train_cfg = dict(max_iters=400, val_interval=400)
default_hooks = dict(checkpoint=dict(interval=200))
custom_hooks = [dict(type='ChannelsLastHook')]
