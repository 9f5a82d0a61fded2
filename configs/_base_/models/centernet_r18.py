# The stock CenterNet for the 30 classes of ImageNet VID.
_base_ = 'mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py'

model = _base_.model
model.bbox_head.num_classes = 30
model.data_preprocessor.pad_size_divisor = 32  # stock: by the pipelines
_base_.clear()  # its data, schedule and hooks are not wanted
