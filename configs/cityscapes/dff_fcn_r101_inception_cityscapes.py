# FlowNet Inception as F.
_base_ = './dff_fcn_r101_cityscapes.py'

model = dict(
    propagation=dict(
        flow_estimator=dict(
            type='FlowNetInception',
            init_cfg=dict(checkpoint='data/weights/flownet_inception_chairs.pth'),
        )
    )
)
