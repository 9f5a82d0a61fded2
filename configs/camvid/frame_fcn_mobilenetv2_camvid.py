# CamVid, frame by frame.
_base_ = [
    '../_base_/models/fcn_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/camvid_1k.py',
    '../_base_/seg_runtime.py',
]

train_dataloader = dict(dataset=dict(pairs=False))
default_hooks = dict(checkpoint=dict(interval=500))
