# A small UPerNet on CamVid, frame by frame.
_base_ = [
    '../_base_/models/upernet_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/camvid_1k.py',
    '../_base_/seg_runtime.py',
]

train_dataloader = dict(dataset=dict(pairs=False))
train_cfg = dict(max_iters=900, val_interval=900)
default_hooks = dict(checkpoint=dict(interval=450))
