"""Map our weights to those of the authors' released network.

The release uses Caffe's names: ``res3b1_branch2a_weight``. Layouts that differ:

* RPN scores: all background channels, then all object channels; ours are object and
  background for each anchor.
* R-FCN scores: class-major, background first; ours has background last.
* R-FCN boxes: background and object, class-agnostic; ours has only the object's.

Shape letters: A anchors per cell, K classes, P bins per side.
"""

import re
from dataclasses import dataclass

import numpy as np
from torch import nn

COUNTER = 'num_batches_tracked'  # of batch norm; missing in the release, unused
NORM_LEAVES = dict(
    weight='gamma', bias='beta', running_mean='moving_mean', running_var='moving_var'
)
BRANCHES = {'1': 'branch2a', '2': 'branch2b', '3': 'branch2c'}
FLOW_RENAMED = {'conv1': 'flow_conv1', 'predict_scale.0': 'Convolution5_scale'}
HEADS = {
    'neck.conv.conv': 'feat_conv_3x3',
    'rpn_head.rpn_cls': 'rpn_cls_score',
    'rpn_head.rpn_reg': 'rpn_bbox_pred',
    'roi_head.rfcn_cls': 'rfcn_cls',
    'roi_head.rfcn_reg': 'rfcn_bbox',
}
FLOW_PREFIX = 'propagation.flow_estimator.'
IMAGE_PREFIX = 'detector.'


@dataclass(frozen=True)
class Source:
    """Array of the release that holds one of our weights.

    Attributes:
        name: Name of the array in the release.
        channels: Indices of its output channels in our order; None means all,
            unchanged.
        total: Number of its output channels, if ``channels`` is not None.
    """

    name: str
    channels: np.ndarray | None = None
    total: int = 0

    def shape(self, ours: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape in the release of a weight with our shape ``ours``."""
        return ours if self.channels is None else (self.total, *ours[1:])

    def reorder(self, array: np.ndarray, axis: int = 0) -> np.ndarray:
        """Select and reorder the channels of an array of the release.

        Args:
            array: (..., C, ...) with C = ``total`` channels along ``axis``.
            axis: Axis of the channels.

        Returns:
            (..., C', ...) with our C' channels along ``axis``.
        """
        return array if self.channels is None else array.take(self.channels, axis)


def rpn_cls_channels(num_anchors: int) -> np.ndarray:
    """Return the index (2 * A,) of each of our score channels in the release."""
    background = np.arange(num_anchors)
    return np.stack([background + num_anchors, background], axis=1).ravel()


def rfcn_cls_channels(num_classes: int, pool_size: int) -> np.ndarray:
    """Return the index ((K + 1) * P * P,) of each of our class maps in the release."""
    maps = np.arange((num_classes + 1) * pool_size**2).reshape(num_classes + 1, -1)
    return np.roll(maps, -1, axis=0).ravel()  # background, the first, becomes the last


def rfcn_bbox_channels(pool_size: int) -> np.ndarray:
    """Return the index (4 * P * P,) of each of our box maps: the second class's."""
    maps = 4 * pool_size**2
    return np.arange(maps, 2 * maps)


def layouts(model: nn.Module) -> dict[str, Source]:
    """Return the outputs of heads whose channels differ from the release's.

    Args:
        model: R-FCN detector.

    Returns:
        Sources by the name of the output in the release: ``rpn_cls_score``,
        ``rfcn_cls`` and ``rfcn_bbox``.
    """
    rpn, roi = model.rpn_head, model.roi_head
    classes, bins = roi.num_classes, roi.pool_size
    anchors = rpn.num_base_priors
    channels = dict(
        rpn_cls_score=(rpn_cls_channels(anchors), 2 * anchors),
        rfcn_cls=(rfcn_cls_channels(classes, bins), (classes + 1) * bins**2),
        rfcn_bbox=(rfcn_bbox_channels(bins), 2 * 4 * bins**2),
    )
    return {name: Source(name, *layout) for name, layout in channels.items()}


def video_sources(model: nn.Module) -> dict[str, Source]:
    """Map the keys of a video detector (R-FCN and FlowNet) to the release."""
    image = image_sources(model.detector)
    flow = flow_sources(model.propagation.flow_estimator)
    return {IMAGE_PREFIX + key: source for key, source in image.items()} | {
        FLOW_PREFIX + key: source for key, source in flow.items()
    }


def image_sources(model: nn.Module) -> dict[str, Source]:
    """Map the keys of an R-FCN detector to the release."""
    moved = layouts(model)
    sources = {
        f'backbone.{key}': source
        for key, source in backbone_sources(model.backbone).items()
    }
    for module, name in HEADS.items():
        for leaf in ('weight', 'bias'):
            base = moved.get(name, Source(name))
            sources[f'{module}.{leaf}'] = Source(
                f'{name}_{leaf}', base.channels, base.total
            )
    return sources


def backbone_sources(model: nn.Module) -> dict[str, Source]:
    """Map the keys of a ResNet to the release."""
    depth = getattr(model, 'depth', 0)
    return {
        key: Source(backbone_name(key, depth))
        for key in model.state_dict()
        if not key.endswith(COUNTER)
    }


def backbone_name(key: str, depth: int) -> str:
    """Return Caffe's name of a key of a ResNet.

    Raises:
        ValueError: If the key is not that of a ResNet with bottlenecks.
    """
    stem = re.fullmatch(r'(conv|bn)1\.(\w+)', key)
    if stem:
        return _layer_name('conv1', *stem.groups())
    pattern = r'layer(\d)\.(\d+)\.(?:(conv|bn)([123])|downsample\.([01]))\.(\w+)'
    match = re.fullmatch(pattern, key)
    if not match:
        raise ValueError(
            f'the backbone must be a ResNet with bottlenecks, got the weight {key}'
        )
    stage, block, kind, number, shortcut, leaf = match.groups()
    if shortcut:
        kind, branch = ('conv', 'bn')[int(shortcut)], 'branch1'
    else:
        branch = BRANCHES[number]
    letter = 'abcdef'[int(block)] if int(block) < 6 else ''
    if depth > 50 and stage in '23' and int(block):
        letter = f'b{block}'  # res3b1: conv3 and conv4 of deep ResNets are numbered
    return _layer_name(f'{int(stage) + 1}{letter}_{branch}', kind, leaf)


def _layer_name(place: str, kind: str, leaf: str) -> str:
    if kind == 'bn':
        return f'bn{"_" * (place == "conv1")}{place}_{NORM_LEAVES[leaf]}'
    return f'{"" if place == "conv1" else "res"}{place}_{leaf}'


def flow_sources(model: nn.Module) -> dict[str, Source]:
    """Map the keys of a FlowNetS to the release, which scales one feature level."""
    keys = [
        key
        for key in model.state_dict()
        if not key.startswith('predict_scale.') or key.startswith('predict_scale.0.')
    ]
    return {key: Source(flow_name(key)) for key in keys}


def flow_name(key: str) -> str:
    """Return the release's name of a key of FlowNetS."""
    module, leaf = key.rsplit('.', 1)
    if module.startswith('predict_flow'):  # 6, the coarsest, to 2
        return f'Convolution{7 - int(module[-1])}_{leaf}'
    return f'{FLOW_RENAMED.get(module, module)}_{leaf}'
