# The stock Cascade R-CNN for the 30 classes of ImageNet VID.
_base_ = 'mmdet::_base_/models/cascade-rcnn_r50_fpn.py'

model = _base_.model
model.roi_head.bbox_head[0].num_classes = 30
model.roi_head.bbox_head[1].num_classes = 30
model.roi_head.bbox_head[2].num_classes = 30
