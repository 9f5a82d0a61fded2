"""Stock models wrapped with N_feat ending late, at a size for tests."""

import detectors_under_test as detectors
import segmentors_under_test as segmentors
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from wrapped_models import SIZE

from dff.checks.build import build_to_check
from dff.models import DFFVideoSegmentor

MMDET = {
    'gfl': 'gfl/gfl_r50_fpn_1x_coco.py',
    'vfnet': 'vfnet/vfnet_r50_fpn_1x_coco.py',
    'yolov3': 'yolo/yolov3_mobilenetv2_8xb24-ms-416-300e_coco.py',
    'conditional-detr': 'conditional_detr/conditional-detr_r50_8xb2-50e_coco.py',
    'dab-detr': 'dab_detr/dab-detr_r50_8xb2-50e_coco.py',
    'ssd': 'ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py',
}
FLOWNET = dict(type='FlowNetS', width=0.0625)


def build(name, split, flow_estimator=FLOWNET, **options):
    """Build a config of configs/wrapped, of mmdet or mmseg with random weights."""
    propagation = dict(type='FeaturePropagation', flow_estimator=flow_estimator)
    options = dict(split=split, **options)
    if name.startswith('dff_'):
        cfg = detectors.read(name)
        detectors.shrink(cfg.model.detector)
        cfg.model.propagation = propagation  # not merged with that of the config
        cfg.model.update(**options)
        return build_to_check(cfg, size=SIZE)
    if name in MMDET:
        detector = get_config(f'mmdet::{MMDET[name]}').model
        segmentors.on_one_device(detector)
        if 'ResNet' in detector.backbone.type:
            detectors.shrink(detector)
        model = dict(
            type='DFFVideoDetector', detector=detector, propagation=propagation
        )
        cfg = Config(dict(default_scope='mmdet', model={**model, **options}))
        return build_to_check(cfg, size=SIZE)
    init_default_scope('mmseg')
    torch.manual_seed(0)
    cfg = segmentors.stock(name)
    if name == 'mask2former':  # a layer for each level of the pixel decoder
        cfg.decode_head.transformer_decoder.num_layers = 3
    scheduler = dict(type='FixedKeyFrameScheduler', interval=5)
    model = DFFVideoSegmentor(
        cfg, propagation, key_frame_scheduler=scheduler, **options
    )
    segmentors.randomise(model.segmentor)
    return model.eval()
