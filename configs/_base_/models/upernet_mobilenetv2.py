# A small UPerNet for CPUs: MobileNetV2 and heads of 64 channels. Its decode head is
# most of its work, as in UPerNet with larger backbones.
norm_cfg = dict(type='BN')
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],  # RGB, as the ImageNet weights expect
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(256, 320),
    ),
    backbone=dict(
        type='MobileNetV2',
        out_indices=(1, 2, 4, 6),  # strides 4, 8, 16, 32
        frozen_stages=2,  # up to stride 4
        norm_eval=True,  # statistics of a small batch are too noisy
        init_cfg=dict(
            type='Pretrained', checkpoint='data/weights/mobilenet_v2_imagenet_mmseg.pth'
        ),
    ),
    decode_head=dict(
        type='UPerHead',
        in_channels=[24, 32, 96, 320],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=64,
        dropout_ratio=0.0,
        num_classes=11,
        norm_cfg=norm_cfg,
        align_corners=False,
        # Dice for the small classes; class weights do not work with void in mmseg 1.2.2
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce', avg_non_ignore=True),
            dict(type='DiceLoss', loss_name='loss_dice', use_sigmoid=False),
        ],
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
