# The stock DETR for the 30 classes of ImageNet VID.
_base_ = 'mmdet::detr/detr_r50_8xb2-150e_coco.py'

model = _base_.model
model.bbox_head.num_classes = 30
_base_.clear()  # its data, schedule and hooks are not wanted
