_base_ = './frame_fcn_r101_cityscapes.py'

model = dict(
    backbone=dict(depth=50, init_cfg=dict(checkpoint='data/weights/resnet50_mxnet.pth'))
)
