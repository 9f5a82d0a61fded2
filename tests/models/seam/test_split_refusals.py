"""Models that cannot be split where a config says: an error, or one line at 'auto'."""

import re
from functools import partial

import detectors_under_test as detectors
import pytest
import segmentors_under_test as segmentors
import torch
from late_models import FLOWNET, build
from mmdet.registry import MODELS as DETECTORS
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS as SEGMENTORS
from torch import nn

from dff.models import DFFVideoDetector, DFFVideoSegmentor
from dff.models.seam import find_split

pytestmark = pytest.mark.filterwarnings('ignore')


def ocrnet():
    """Return a config of two heads of which the second reads what the first returns."""
    cfg = segmentors.stock('fcn')
    second = dict(
        type='OCRHead',
        in_channels=512,
        in_index=3,
        channels=64,
        ocr_channels=32,
        num_classes=19,
        norm_cfg=dict(type='BN'),
    )
    heads = [cfg.decode_head, second]
    cfg.update(type='CascadeEncoderDecoder', num_stages=2, decode_head=heads)
    return cfg


def test_a_model_that_cannot_be_split_falls_back_with_one_line(monkeypatch):
    """It says why, and what the head costs: its share of the multiply-adds."""
    lines = []
    monkeypatch.setattr(find_split, 'print_log', lambda text, *_: lines.append(text))
    init_default_scope('mmseg')
    model = SEGMENTORS.build(ocrnet())
    assert find_split.find_split(model, 'auto') is None
    (line,) = lines
    assert '\n' not in line
    found = re.fullmatch(
        'CascadeEncoderDecoder is split at the end of extract_feat: all that follows, '
        r'(\d+)% of the multiply-adds, runs on every frame \(its head is of no known '
        r'form\)',
        line,
    )
    # by hand: multiply-adds of all convolutions
    macs = {'backbone': 0, 'decode_head': 0}

    def count(module, _, output, part):
        macs[part] += module.weight.numel() * output[0, 0].numel()

    for part in macs:
        for module in getattr(model, part).modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(partial(count, part=part))
    model.eval()
    with torch.no_grad():
        images = torch.rand(1, 3, 128, 128)
        model.encode_decode(images, [dict(img_shape=(128, 128))])
    share = macs['decode_head'] / sum(macs.values())
    assert int(found[1]) == pytest.approx(100 * share, abs=1)


def test_a_model_without_late_splits_says_so():
    """The RPN of Sparse R-CNN is a list of boxes, whatever the image."""
    cfg = get_config('mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py').model
    segmentors.on_one_device(cfg)
    init_default_scope('mmdet')
    for split in ('last', 'scores'):
        with pytest.raises(
            ValueError,
            match=f"split '{split}' is not possible for SparseRCNN, which has "
            r"\['backbone'\]",
        ):
            DFFVideoDetector(cfg, split=split)


@pytest.mark.parametrize('split', ['last', 'backbone', None])
def test_a_model_without_a_preprocessor_is_refused(split):
    init_default_scope('mmseg')
    cfg = segmentors.stock('fcn')
    model = SEGMENTORS.build(cfg)
    del cfg.data_preprocessor, model.data_preprocessor
    with pytest.raises(ValueError, match='must have a data_preprocessor in its config'):
        DFFVideoSegmentor(cfg, split=split)
    with pytest.raises(TypeError, match='of its own, EncoderDecoder has none'):
        DFFVideoSegmentor(model, split=split)


class Pooled(nn.Module):
    """A head whose maps are one cell wide."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(32, 2, 1)

    def forward(self, feats):
        return [self.last(feat.mean((2, 3), keepdim=True)) for feat in feats]


def test_a_map_that_is_no_grid_is_refused_and_auto_falls_back():
    cfg = detectors.read('dff_fcos_r50_fpn_vid').model.detector
    detectors.shrink(cfg)
    segmentors.on_one_device(cfg)
    init_default_scope('mmdet')
    model = DETECTORS.build(cfg)
    model.bbox_head = Pooled()
    message = r'got a map of \(1, 1\) for images of \(256, 256\)'
    for split in ('last', 'scores'):
        with pytest.raises(ValueError, match=message):
            DFFVideoDetector(model, split=split)
    assert DFFVideoDetector(model, split='auto').split_point is None


@pytest.mark.parametrize(
    'name, split, flow, message',
    [
        (
            'fcn',
            'scores',
            dict(FLOWNET, strides=(4, 16)),
            r"names the strides \(4, 16\).*'scores' have the strides \(8, 8\)",
        ),
        ('ssd', 'last', FLOWNET, r'not possible .*a map of \(1, 1\) for images of'),
        ('ssd', 'auto', FLOWNET, r'a map of \(1, 1\) for images of \(320, 320\)'),
        ('fcn', 'later', FLOWNET, "split must be a stage .* got 'later'"),
    ],
)
def test_what_does_not_fit_is_refused(name, split, flow, message):
    with pytest.raises(ValueError, match=message):
        build(name, split, flow)
