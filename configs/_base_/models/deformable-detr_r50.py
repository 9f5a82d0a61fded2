# The stock Deformable DETR for the 30 classes of ImageNet VID.
_base_ = 'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py'

model = _base_.model
model.bbox_head.num_classes = 30
_base_.clear()  # its data, schedule and hooks are not wanted
