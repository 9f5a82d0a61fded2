# A small R-FCN for CPUs: MobileNetV2 at stride 16, features of 256 channels, anchors
# for standing people.
model = dict(
    type='RFCN',
    channels_last=True,  # halves the time of depth-wise layers on a CPU
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],  # RGB, as the ImageNet weights expect
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=16,
    ),
    backbone=dict(
        type='mmseg.MobileNetV2',  # mmdet's cannot be dilated
        strides=(1, 2, 2, 2, 1, 1, 1),  # the last stages keep stride 16
        dilations=(1, 1, 1, 1, 1, 2, 2),
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
        dilation=2,  # 6 of the paper is for larger images
        norm_cfg=dict(type='BN'),  # without it next to nothing is learnt here
    ),
    rpn_head=dict(
        type='RFCNRPNHead',
        in_channels=128,
        anchor_generator=dict(
            type='RFCNAnchorGenerator',
            strides=[16],
            base_sizes=[16],
            # sides of 16 x scale x sqrt(ratio), so 45 to 277 pixels tall
            scales=[2, 3, 4, 5, 6, 8, 10],
            ratios=[2.0, 3.0],
        ),
        bbox_coder=dict(type='RFCNBBoxCoder', target_stds=(0.1, 0.1, 0.4, 0.4)),
        loss_cls=dict(type='CrossEntropyLoss'),
        loss_bbox=dict(type='SmoothL1Loss', beta=1 / 9),
    ),
    roi_head=dict(
        type='RFCNHead',
        num_classes=1,
        in_channels=128,
        featmap_stride=16,
        pool_size=7,
        bbox_coder=dict(type='RFCNBBoxCoder', target_stds=(0.1, 0.1, 0.2, 0.2)),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.6,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                ignore_iof_thr=0.5,
            ),
            sampler=dict(
                type='RandomSampler',
                num=128,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,  # crops are small
            pos_weight=-1,
        ),
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=0.5,
            ),
            num_hard=64,
        ),
    ),
    test_cfg=dict(
        # also the proposals of training
        rpn=dict(
            nms_pre=1000,
            max_per_img=150,
            min_bbox_size=0,
            nms=dict(type='nms', iou_threshold=0.7, offset=1),
        ),
        rcnn=dict(
            score_thr=0.01,
            # people who pass each other overlap
            nms=dict(type='nms', iou_threshold=0.5, offset=1, split_thr=1),
            max_per_img=100,
        ),
    ),
)
