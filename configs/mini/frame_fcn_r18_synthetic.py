# A small version of the paper's segmentation network (Sec. 4) on moving shapes, frame
# by frame. It starts from the detector's backbone, without a download.
_base_ = [
    '../_base_/models/fcn_mobilenetv2.py',
    '../_base_/datasets/synthetic_seg.py',
    '../_base_/schedules/mini_2k.py',
    '../_base_/seg_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=None, size_divisor=1),
    backbone=dict(  # the detector's, but at stride 8
        _delete_=True,
        type='ResNet',
        depth=18,
        base_channels=32,
        stem_channels=32,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        out_indices=(3,),
        norm_cfg=dict(type='BN'),
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(  # configs/mini/frame_rfcn_r18_synthetic.py
            type='Pretrained',
            checkpoint='work_dirs/frame_rfcn_r18_synthetic/iter_1200.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(in_channels=256, out_channels=128, dilation=2),
    decode_head=dict(
        in_channels=128,
        channels=128,
        num_classes=4,
        loss_decode=[
            dict(
                type='CrossEntropyLoss',
                loss_name='loss_ce',
                # nine tenths are background
                class_weight=[0.2, 1.0, 1.0, 1.0],
                avg_non_ignore=True,
            ),
            dict(type='DiceLoss', loss_name='loss_dice', use_sigmoid=False),
        ],
    ),
)
train_dataloader = dict(dataset=dict(pairs=False))
train_cfg = dict(max_iters=400, val_interval=400)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.01, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, eta_min_ratio=0.01),
]
