# The stock YOLOX-s for the 30 classes of ImageNet VID.
_base_ = 'mmdet::yolox/yolox_s_8xb8-300e_coco.py'

model = _base_.model
model.bbox_head.num_classes = 30
_base_.clear()  # its data, schedule and hooks are not wanted
