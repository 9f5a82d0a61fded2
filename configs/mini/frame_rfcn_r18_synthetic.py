# Moving shapes, frame by frame. It trains from random weights, without a download.
_base_ = [
    '../_base_/models/rfcn_mobilenetv2.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/mini_2k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    # Without ImageNet weights a plain, narrow ResNet-18 learns faster.
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        base_channels=32,
        stem_channels=32,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        out_indices=(3,),
        norm_eval=False,
    ),
    neck=dict(in_channels=256),
    # Shapes have 24 to 96 pixels; half-hidden ones are elongated.
    rpn_head=dict(
        anchor_generator=dict(scales=[1.5, 2, 3, 4, 6], ratios=[0.5, 1.0, 2.0])
    ),
    roi_head=dict(num_classes=3),
    test_cfg=dict(rcnn=dict(nms=dict(iou_threshold=0.4))),
)
train_dataloader = dict(dataset=dict(pairs=False))
train_cfg = dict(max_iters=1200, val_interval=1200)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.01, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, eta_min_ratio=0.01),
]
default_hooks = dict(checkpoint=dict(interval=300))
