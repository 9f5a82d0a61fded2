# FlowNet Half as F.
_base_ = './dff_rfcn_r101_vid.py'

model = dict(
    detector=dict(
        backbone=dict(
            depth=50, init_cfg=dict(checkpoint='data/weights/resnet50_mxnet.pth')
        )
    ),
    propagation=dict(
        flow_estimator=dict(
            width=0.5, init_cfg=dict(checkpoint='data/weights/flownets_half_chairs.pth')
        )
    ),
)
