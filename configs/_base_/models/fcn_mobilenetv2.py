# The paper's segmentation network (Sec. 4) in small, for CPUs: MobileNetV2 at stride 8,
# one dilated layer, and one 1x1 layer as N_task.
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
        loss_decode=dict(
            type='CrossEntropyLoss',
            avg_non_ignore=True,
            # sqrt(median of the frequencies / frequency) in CamVid's training labels
            class_weight=[
                0.54,
                0.45,
                2.26,
                0.39,
                1.0,
                0.69,
                2.06,
                2.02,
                0.92,
                2.76,
                3.51,
            ],
        ),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
