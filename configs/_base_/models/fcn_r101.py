# The paper's segmentation network (Sec. 4): a Caffe-style ResNet-101 at stride 16, one
# dilated layer, and one 1x1 layer as N_task; close to DeepLab's large field of view.
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.15, 115.90, 103.06],  # RGB; no division by a deviation
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,  # whole frames, all of one size
    ),
    backbone=dict(
        type='ResNet',
        depth=101,
        num_stages=4,
        out_indices=(3,),
        strides=(1, 2, 2, 1),  # conv5 keeps stride 16 ...
        dilations=(1, 1, 1, 2),  # ... and its field of view
        frozen_stages=1,  # conv1 and res2, as in the released detector
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,  # one image a GPU
        style='caffe',  # stride on the first 1x1
        init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet101_mxnet.pth'),
    ),
    neck=dict(type='DilatedNeck', in_channels=2048, out_channels=1024, dilation=6),
    decode_head=dict(
        type='FCNHead',
        in_channels=1024,
        channels=1024,
        in_index=0,
        num_convs=0,  # the 1x1 layer only
        concat_input=False,
        dropout_ratio=0.0,
        # The paper has one more, for the background; all classes of Cityscapes that
        # count are foreground, and the rest is void.
        num_classes=19,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
