# DFF with the PyTorch-style ResNet of frame_rfcn_r50_vid_torchvision.py.
_base_ = './dff_rfcn_r101_vid.py'

model = dict(
    detector=dict(
        data_preprocessor=dict(
            mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]
        ),
        backbone=dict(
            depth=50,
            style='pytorch',
            init_cfg=dict(checkpoint='torchvision://resnet50'),
        ),
    )
)
