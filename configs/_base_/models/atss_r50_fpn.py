# The stock ATSS for the 30 classes of ImageNet VID.
_base_ = 'mmdet::atss/atss_r50_fpn_1x_coco.py'

model = _base_.model
model.bbox_head.num_classes = 30
_base_.clear()  # its data, schedule and hooks are not wanted
