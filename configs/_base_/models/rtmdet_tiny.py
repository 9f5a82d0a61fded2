# The stock RTMDet-tiny for the 30 classes of ImageNet VID.
_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'

model = _base_.model
model.bbox_head.num_classes = 30
model.data_preprocessor.pad_size_divisor = 32  # stock: by the pipelines
_base_.clear()  # its data, schedule and hooks are not wanted
