# People in PETS09-S2L1, frame by frame.
_base_ = [
    '../_base_/models/rfcn_mobilenetv2.py',
    '../_base_/datasets/mot_mini.py',
    '../_base_/schedules/mini_2k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    # Standing people: sides of 16 x scale x sqrt(ratio), so 45 to 277 pixels tall.
    rpn_head=dict(
        anchor_generator=dict(scales=[2, 3, 4, 5, 6, 8, 10], ratios=[2.0, 3.0])
    ),
    # People who pass each other overlap.
    test_cfg=dict(rcnn=dict(nms=dict(iou_threshold=0.5))),
)
train_dataloader = dict(dataset=dict(pairs=False))
train_cfg = dict(max_iters=900, val_interval=450)
default_hooks = dict(checkpoint=dict(interval=450))
