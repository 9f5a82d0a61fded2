# The stock FCOS for the 30 classes of ImageNet VID.
_base_ = 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py'

model = _base_.model
model.bbox_head.num_classes = 30
_base_.clear()  # its data, schedule and hooks are not wanted
