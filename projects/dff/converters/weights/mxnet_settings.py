"""Check settings that a model must share with the authors' release.

Weights alone are not enough: a ResNet of another style loads the same weights but
computes other features.
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

BOX_STDS = (0.1, 0.1, 0.2, 0.2)  # released code, of R-FCN's boxes
ANCHOR_STDS = (0.1, 0.1, 0.4, 0.4)  # released code, of the RPN's
PIXEL_MEANS = (123.15, 115.90, 103.06)  # released code, RGB
NORM_EPS = 1e-5  # released code
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
ANCHOR_SCALES = (8.0, 16.0, 32.0)

Setting = tuple[str, Any, Any]  # what, expected, got


def check_settings(model: nn.Module, part: str) -> None:
    """Check the settings that names and shapes of weights do not determine.

    Args:
        model: Built part of a model.
        part: ``'video'``, ``'image'``, ``'backbone'`` or ``'flow'``.

    Raises:
        ValueError: If a setting of the model differs from the release.
    """
    checks = dict(video=_video, image=_image, backbone=_backbone, flow=_flow)
    wrong = [
        f'{what} must be {expected}, got {got}'
        for what, expected, got in checks[part](model)
        if not _equal(expected, got)
    ]
    if wrong:
        raise ValueError('the model is not that of the release: ' + '; '.join(wrong))


def _equal(expected: Any, got: Any) -> bool:
    if isinstance(expected, tuple) and isinstance(got, tuple):
        return len(expected) == len(got) and all(map(_equal, expected, got))
    if isinstance(expected, float) and isinstance(got, (int, float)):
        return abs(expected - got) <= 1e-6 * abs(expected)
    return expected == got


def _video(model: nn.Module) -> Iterator[Setting]:
    flow = model.propagation.flow_estimator
    yield 'strides of the flow network', (16,), tuple(getattr(flow, 'strides', ()))
    yield 'its downsample', 'pool', getattr(flow, 'downsample', None)
    yield from _image(model.detector)


def _flow(model: nn.Module) -> Iterator[Setting]:
    yield 'the flow network', 'FlowNetS', type(model).__name__


def _image(model: nn.Module) -> Iterator[Setting]:
    preprocessor = model.data_preprocessor
    is_normalised = getattr(preprocessor, '_enable_normalize', False)
    for name, expected in (('mean', PIXEL_MEANS), ('std', (1.0, 1.0, 1.0))):
        got = getattr(preprocessor, name).flatten().tolist() if is_normalised else ()
        yield f'{name} of the preprocessor', expected, tuple(got)
    order = 'RGB' if getattr(preprocessor, '_channel_conversion', False) else 'BGR'
    yield 'channel order of the preprocessor', 'RGB', order
    yield from _backbone(model.backbone)
    yield 'strides of the backbone', (1, 2, 2, 1), tuple(model.backbone.strides)
    yield 'dilations of the backbone', (1, 1, 1, 2), tuple(model.backbone.dilations)
    yield 'dilation of the neck', (6, 6), model.neck.conv.conv.dilation
    rpn, roi = model.rpn_head, model.roi_head
    anchors = rpn.prior_generator
    yield 'ratios of the anchors', ANCHOR_RATIOS, tuple(anchors.ratios.tolist())
    yield 'scales of the anchors', ANCHOR_SCALES, tuple(anchors.scales.tolist())
    yield 'base size of the anchors', (16,), tuple(anchors.base_sizes)
    yield 'target stds of the RPN', ANCHOR_STDS, tuple(rpn.bbox_coder.stds)
    yield 'target stds of the boxes', BOX_STDS, tuple(roi.bbox_coder.stds)
    yield 'a softmax in the RPN', True, not rpn.use_sigmoid_cls
    yield 'reg_class_agnostic', True, roi.reg_class_agnostic


def _backbone(model: nn.Module) -> Iterator[Setting]:
    yield 'the backbone', 'ResNet', type(model).__name__
    yield 'style of the backbone', 'caffe', getattr(model, 'style', None)
    norms = (m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    for eps in sorted(set(norms)):
        yield 'eps of the batch norm', NORM_EPS, eps
