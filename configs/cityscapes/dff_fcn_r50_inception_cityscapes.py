# FlowNet Inception as F.
_base_ = './dff_fcn_r101_cityscapes.py'

model = dict(
    segmentor=dict(
        backbone=dict(
            depth=50, init_cfg=dict(checkpoint='data/weights/resnet50_mxnet.pth')
        )
    ),
    propagation=dict(
        flow_estimator=dict(
            type='FlowNetInception',
            init_cfg=dict(checkpoint='data/weights/flownet_inception_chairs.pth'),
        )
    ),
)
