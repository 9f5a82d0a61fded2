# The stock DINO for the 30 classes of ImageNet VID.
_base_ = 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'

model = _base_.model
model.bbox_head.num_classes = 30
_base_.clear()  # its data, schedule and hooks are not wanted
