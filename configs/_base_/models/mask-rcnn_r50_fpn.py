# The stock Mask R-CNN, for the classes of COCO.
_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'
