# The stock RetinaNet for the 30 classes of ImageNet VID.
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'

model = dict(bbox_head=dict(num_classes=30))
