"""Convert weights of the authors' release from MXNet's files."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from dff.files import write_atomically

from .mxnet_names import (
    COUNTER,
    Source,
    backbone_sources,
    flow_sources,
    image_sources,
    video_sources,
)
from .mxnet_params import read_mxnet_params
from .mxnet_settings import BOX_STDS, check_settings

SHOWN = 8  # names in a message
CLASSIFIER = re.compile(r'fc\d*_(weight|bias)')  # of ImageNet; unused in a detector
SCALE = 'Convolution5_scale_'
SOURCES = dict(
    video=video_sources,
    image=image_sources,
    backbone=backbone_sources,
    flow=flow_sources,
)


@dataclass
class Conversion:
    """Converted weights.

    Attributes:
        part: ``'video'`` (the whole network), ``'image'`` (R-FCN without a flow
            network), ``'backbone'`` or ``'flow'`` (initial weights of training).
        state_dict: Weights by the keys of that part.
        notes: What was left out, and why.
    """

    part: str
    state_dict: dict[str, Tensor]
    notes: list[str] = field(default_factory=list)


def convert_file(
    path: str | os.PathLike,
    out: str | os.PathLike,
    config: str | os.PathLike,
    *,
    classes: tuple[str, ...] = (),
) -> Conversion:
    """Convert a ``.params`` file into a checkpoint.

    Args:
        path: File of MXNet: the whole network, R-FCN alone, or one of the initial
            networks of training (ResNet, FlowNet), inferred from its names.
        out: File to write, atomically.
        config: Config of the model that will load the weights.
        classes: Names of the classes, written to the checkpoint of a detector.

    Raises:
        FileNotFoundError: If ``path`` or ``config`` does not exist.
        ValueError: If the file is damaged, or does not fit the config.
    """
    arrays = read_mxnet_params(path)
    if not Path(config).is_file():
        raise FileNotFoundError(f'config {config} does not exist')
    try:
        done = convert_arrays(arrays, Config.fromfile(config).model)
    except ValueError as error:
        raise ValueError(f'{path} does not fit {config}: {error}') from error
    meta = {}
    is_detector = done.part in ('video', 'image')
    if classes and is_detector:
        meta = dict(dataset_meta=dict(classes=tuple(classes)))
    with write_atomically(out) as temporary:
        torch.save(dict(state_dict=done.state_dict, meta=meta), temporary)
    return done


def convert_arrays(arrays: Mapping[str, np.ndarray], model: dict) -> Conversion:
    """Convert arrays by their names in the release.

    Args:
        arrays: Arrays by name, with or without ``arg:`` and ``aux:``, such as
            convolutions (C_out, C_in, k, k).
        model: Model config, of which only the part of the arrays is built.

    Raises:
        ValueError: If an array has no counterpart in the model or the reverse, a
            shape differs, a value is not finite, or the settings of the model differ
            from those of the release.
    """
    arrays = _without_kind(arrays)
    part = find_part(arrays)
    built = _build(model, part)
    check_settings(built, part)
    notes: list[str] = []
    if part in ('video', 'image'):
        arrays = _unfold_box_std(arrays, notes)
    elif part == 'backbone':
        dropped = [name for name in arrays if CLASSIFIER.fullmatch(name)]
        arrays = {k: v for k, v in arrays.items() if k not in dropped}
        if dropped:
            notes.append(f'left out, the ImageNet classifier: {", ".join(dropped)}')
    sources = SOURCES[part](built)
    if part == 'flow' and not any(name.startswith(SCALE) for name in arrays):
        sources = {k: s for k, s in sources.items() if not s.name.startswith(SCALE)}
        notes.append('no scale field in the file: S starts as 1')
    _check_fit(arrays, sources, built)
    state = {}
    for key, value in built.state_dict().items():
        if key in sources:
            array = sources[key].reorder(arrays[sources[key].name])
            state[key] = torch.from_numpy(array.astype(np.float32))
        elif key.endswith(COUNTER):
            state[key] = torch.zeros_like(value)
    if part in ('video', 'image'):
        notes.append('left out, the first half of rfcn_bbox: the box of background')
    return Conversion(part, state, notes)


def find_part(names: Mapping[str, Any]) -> str:
    """Infer from the names of arrays which part of the release they are.

    Raises:
        ValueError: If the arrays are of another network.
    """
    has_backbone = 'res2a_branch1_weight' in names
    has_flow = 'flow_conv1_weight' in names
    has_heads = any(re.match('rpn_|rfcn_|feat_conv', name) for name in names)
    if has_flow and (has_backbone or has_heads):
        return 'video'
    if has_heads:
        return 'image'
    if has_flow:
        return 'flow'
    if has_backbone:
        return 'backbone'
    raise ValueError(
        'no network of the release: expected names such as res2a_branch1_weight, '
        f'flow_conv1_weight or rfcn_cls_weight, got {_listed(names)}'
    )


def _without_kind(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Remove ``arg:`` and ``aux:`` from the names."""
    plain: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        short = re.sub('^(arg|aux):', '', name)
        if short in plain:
            raise ValueError(f'{short} comes twice, with and without arg: or aux:')
        plain[short] = array
    return plain


def _build(model: dict, part: str) -> nn.Module:
    """Build the part of a model config that will load the weights."""
    image = model.get('detector') or model.get('segmentor') or model
    config: dict | None
    if part == 'video':
        config = model
    elif part == 'image':
        config = image
    elif part == 'backbone':
        config = image.get('backbone')
    else:
        config = model.get('propagation', {}).get('flow_estimator')
    if config is None or (part == 'video' and config is image):
        raise ValueError(
            f'the weights are those of the {part} part of the release, which a config '
            f'of {model.get("type")} does not have'
        )
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(config)


def _unfold_box_std(
    arrays: dict[str, np.ndarray], notes: list[str]
) -> dict[str, np.ndarray]:
    """Divide ``rfcn_bbox_*_test`` by the standard deviations of the boxes.

    The release saves two copies of the layer: the trained one, and one whose output
    is multiplied by the deviations, which it uses in inference.
    """
    arrays, stds = dict(arrays), np.array(BOX_STDS)
    for leaf in ('weight', 'bias'):
        name = f'rfcn_bbox_{leaf}'
        folded = arrays.pop(f'{name}_test', None)
        if folded is None:
            continue
        # channels are (class, delta, bin)
        if folded.ndim < 1 or folded.shape[0] % (2 * len(stds)):
            raise ValueError(
                f'{name}_test must have a multiple of {2 * len(stds)} channels, got '
                f'the shape {folded.shape}'
            )
        bins = folded.shape[0] // (2 * len(stds))
        factors = np.tile(stds, 2).repeat(bins)
        plain = folded / factors.reshape(-1, *[1] * (folded.ndim - 1))
        trained = arrays.get(name)
        if trained is not None and not np.allclose(
            trained, plain, rtol=1e-3, atol=1e-4 * np.abs(plain).max()
        ):
            notes.append(f'{name} differs from {name}_test / {BOX_STDS}, which is used')
        arrays[name] = plain
    return arrays


def _check_fit(
    arrays: Mapping[str, np.ndarray], sources: Mapping[str, Source], model: nn.Module
) -> None:
    own = model.state_dict()
    problems = []
    wanted = {source.name for source in sources.values()}
    unplaced = [
        key
        for key in own
        if key not in sources
        and not key.endswith(COUNTER)
        and not key.startswith('predict_scale')
    ]
    if unplaced:
        problems.append(f'the release has no {_listed(unplaced)}')
    missing = sorted(wanted - set(arrays))
    if missing:
        problems.append(
            f'{len(missing)} of {len(wanted)} are missing: {_listed(missing)}'
        )
    unmapped = [name for name in arrays if name not in wanted]
    if unmapped:
        problems.append(
            f'{len(unmapped)} have no place in the model: {_listed(unmapped)}'
        )
    for key, source in sources.items():
        array = arrays.get(source.name)
        if array is None:
            continue
        expected = source.shape(tuple(own[key].shape))
        if tuple(array.shape) != expected:
            problems.append(
                f'{source.name} must be {expected} for {key}, got {tuple(array.shape)}'
            )
        elif not np.isfinite(array).all():
            problems.append(f'{source.name} must be finite, got nan or infinity')
    if problems:
        rest = f'; and {len(problems) - SHOWN} more' if len(problems) > SHOWN else ''
        raise ValueError('; '.join(problems[:SHOWN]) + rest)


def _listed(names: Any) -> str:
    names = list(names)
    rest = len(names) - SHOWN
    return ', '.join(names[:SHOWN]) + (f' and {rest} more' if rest > 0 else '')
