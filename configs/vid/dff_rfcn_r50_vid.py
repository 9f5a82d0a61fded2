_base_ = './dff_rfcn_r101_vid.py'

model = dict(
    detector=dict(
        backbone=dict(
            depth=50, init_cfg=dict(checkpoint='data/weights/resnet50_mxnet.pth')
        )
    )
)
