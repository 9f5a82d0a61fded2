# A small version of the paper's segmentation network (Sec. 4) for CPUs: MobileNetV2 at
# stride 8, one dilated layer, and one 1x1 layer as N_task.
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
        strides=(1, 2, 2, 1, 1, 1, 1),  # the last stages keep stride 8
        dilations=(1, 1, 1, 2, 2, 4, 4),
        out_indices=(6,),
        frozen_stages=2,  # up to stride 4
        norm_eval=True,  # statistics of a small batch are too noisy
        init_cfg=dict(
            type='Pretrained', checkpoint='data/weights/mobilenet_v2_imagenet_mmseg.pth'
        ),
    ),
    neck=dict(
        type='DilatedNeck',
        in_channels=320,
        out_channels=256,
        dilation=6,
        norm_cfg=dict(type='BN'),  # without it next to nothing is learnt here
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=256,
        channels=256,
        in_index=0,
        num_convs=0,  # one 1x1 layer
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=11,
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
