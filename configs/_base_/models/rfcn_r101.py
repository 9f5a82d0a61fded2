# R-FCN on a Caffe-style ResNet-101 as the authors released it (paper Sec. 4).
model = dict(
    type='RFCN',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.15, 115.90, 103.06],  # RGB; no division by a deviation, no padding
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='ResNet',
        depth=101,
        num_stages=4,
        out_indices=(3,),
        strides=(1, 2, 2, 1),  # conv5 keeps stride 16 ...
        dilations=(1, 1, 1, 2),  # ... and its field of view
        frozen_stages=1,  # conv1 and res2
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='caffe',  # stride on the first 1x1
        # ImageNet weights for this style and input, as the release starts from;
        # neither torchvision's (other style) nor Detectron's (BGR) fit.
        init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet101_mxnet.pth'),
    ),
    neck=dict(type='DilatedNeck', in_channels=2048, out_channels=1024, dilation=6),
    rpn_head=dict(
        type='RFCNRPNHead',
        in_channels=512,
        anchor_generator=dict(
            type='RFCNAnchorGenerator',
            strides=[16],
            base_sizes=[16],
            scales=[8, 16, 32],
            ratios=[0.5, 1.0, 2.0],
        ),
        bbox_coder=dict(type='RFCNBBoxCoder', target_stds=(0.1, 0.1, 0.4, 0.4)),
        loss_cls=dict(type='CrossEntropyLoss'),
        # released code: sigma is 1 because targets are divided by their deviation
        loss_bbox=dict(type='SmoothL1Loss', beta=1.0),
    ),
    roi_head=dict(
        type='RFCNHead',
        num_classes=30,
        in_channels=512,
        featmap_stride=16,
        pool_size=7,
        bbox_coder=dict(type='RFCNBBoxCoder', target_stds=(0.1, 0.1, 0.2, 0.2)),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.01,  # the best anchor of every box is positive
                ignore_iof_thr=-1,
                iou_calculator=dict(type='BboxOverlaps2D_GLIP'),  # "+1" areas
            ),
            sampler=dict(
                type='RandomSampler',
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=0,
            pos_weight=-1,
        ),
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=-1,
                iou_calculator=dict(type='BboxOverlaps2D_GLIP'),  # "+1" areas
            ),
            num_hard=128,  # released OHEM
        ),
    ),
    test_cfg=dict(
        # also the proposals of training
        rpn=dict(
            nms_pre=6000,
            max_per_img=300,
            min_bbox_size=0,  # pixels of the original image
            # No proposals from cells that the image fills only in part: the release
            # trains their anchors, but its operator leaves them out.
            whole_cells_only=True,
            # boxes include their last pixel
            nms=dict(type='nms', iou_threshold=0.7, offset=1),
        ),
        rcnn=dict(
            score_thr=1e-4,
            nms=dict(type='nms', iou_threshold=0.3, offset=1, split_thr=1),
            max_per_img=300,
        ),
    ),
)
