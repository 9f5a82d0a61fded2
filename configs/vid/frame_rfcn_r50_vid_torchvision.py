# PyTorch-style ResNet with torchvision's weights: its input is divided by a standard
# deviation, and its strides are on the 3x3 convolutions.
_base_ = [
    '../_base_/models/rfcn_r101.py',
    '../_base_/datasets/vid_frame.py',
    '../_base_/schedules/vid_60k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        depth=50,
        style='pytorch',
        init_cfg=dict(checkpoint='torchvision://resnet50'),
    ),
)
