# Moving shapes, frame by frame, trained from nothing: needs no download.
_base_ = [
    '../_base_/models/rfcn_mobilenetv2.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/mini_2k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False, init_cfg=None),
    roi_head=dict(num_classes=3),
)
train_dataloader = dict(dataset=dict(pairs=False))
