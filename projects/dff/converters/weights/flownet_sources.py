"""Public FlowNetS checkpoints: their names, layouts and conventions.

| Source | Frames | Mean (of values 0..1) | Deconvolution bias |
| --- | --- | --- | --- |
| `flownet_pytorch` (ClementPinard) | RGB | 0.45, 0.432, 0.411 | no |
| `flownet2_pytorch` (NVIDIA, FlowNet2-S) | RGB | of each pair | yes |
| `mmflow` (OpenMMLab) | BGR | 0 | yes |
| `caffe` (Freiburg, FlowNetS) | BGR | in the file, else 0 | yes |

All take concat(first, second) / 255 and predict the flow from the first to the second
frame, divided by 20, at 1/4 of the input size. The weights are renamed to `FlowNetS`.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dff.checkpoint.loader import read_checkpoint, weights_of

from .caffemodel import CaffeLayer, read_caffemodel

CONVS = tuple(
    'conv1 conv2 conv3 conv3_1 conv4 conv4_1 conv5 conv5_1 conv6 conv6_1'.split()
)
LEVELS = (6, 5, 4, 3, 2)
DECONVS = tuple(f'deconv{level}' for level in LEVELS[1:])
PREDICTIONS = tuple(f'predict_flow{level}' for level in LEVELS)
UPSAMPLINGS = tuple(f'upsample_flow{n}to{n - 1}' for n in LEVELS[:-1])
MODULES = (*CONVS, *DECONVS, *PREDICTIONS, *UPSAMPLINGS)
NORM = ('weight', 'bias', 'running_mean', 'running_var')
IGNORED = 'num_batches_tracked'
SHOWN = 8  # names in a message

Mean = tuple[float, float, float]


@dataclass(frozen=True)
class FlowNetWeights:
    """Weights of a foreign FlowNetS by our names, and the conventions they expect.

    Attributes:
        path: Path of the file, for messages.
        source: A key of `SOURCES`.
        channel_order: Channel order of both frames, 'rgb' or 'bgr'.
        means: Mean (red, green, blue), in 0..1, that is subtracted from each of the
            two frames; None if the source subtracts the mean of each pair.
        flow_divisor: Flow in pixels of the input, divided by the network's output.
        arrays: `NAME.weight`, `NAME.bias`; with batch norm also `NAME.norm.…`.
    """

    path: Path
    source: str
    channel_order: str
    means: tuple[Mean, Mean] | None
    flow_divisor: float
    arrays: Mapping[str, Tensor] = field(repr=False)


ZERO = (0.0, 0.0, 0.0)
SOURCES = {
    # main.py of the repository, as trained (run_inference.py has them the other way)
    'flownet_pytorch': ('rgb', (0.45, 0.432, 0.411)),
    'flownet2_pytorch': ('rgb', None),
    'mmflow': ('bgr', ZERO),
    'caffe': ('bgr', ZERO),
}
FLOW_DIVISOR = 20.0  # of all sources, unless the file states another one


def read_flownet(
    path: str | os.PathLike,
    *,
    source: str | None = None,
    channel_order: str | None = None,
    mean: Sequence[float] | None = None,
    flow_divisor: float | None = None,
) -> FlowNetWeights:
    """Read a public FlowNetS checkpoint without running anything in it.

    Args:
        path: `.pth`, `.pth.tar` or `.caffemodel` file.
        source: A key of `SOURCES`; by default inferred from the file.
        channel_order: 'rgb' or 'bgr'; by default that of the source.
        mean: Mean (red, green, blue), in 0..1, of both frames; by default that of the
            source.
        flow_divisor: Divisor of the flow; by default that of the file or the source.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the source is unknown, an array is missing or unknown, or an
            option is out of range.
    """
    path = Path(path)
    if source is not None and source not in SOURCES:
        raise ValueError(f'source must be one of {list(SOURCES)}, got {source!r}')
    is_caffe = source == 'caffe' if source else '.caffemodel' in path.name
    weights = _read_caffe(path) if is_caffe else _read_torch(path, source)
    changes: dict[str, Any] = {}
    if channel_order is not None:
        if channel_order not in ('rgb', 'bgr'):
            raise ValueError(f'channel_order must be rgb or bgr, got {channel_order!r}')
        changes['channel_order'] = channel_order
    if mean is not None:
        if len(mean) != 3 or not all(0 <= value <= 1 for value in mean):
            raise ValueError(f'mean must be red, green, blue in 0..1, got {mean}')
        changes['means'] = (tuple(mean), tuple(mean))
    if flow_divisor is not None:
        if not flow_divisor > 0:
            raise ValueError(f'flow_divisor must be > 0, got {flow_divisor}')
        changes['flow_divisor'] = flow_divisor
    return replace(weights, **changes)


def _read_torch(path: Path, source: str | None) -> FlowNetWeights:
    content = read_checkpoint(path, 'cpu')
    state = weights_of(content, path)
    source = source or _infer_source(path, state, content.get('arch'))
    names = mmflow_names() if source == 'mmflow' else pytorch_names()
    order, mean = SOURCES[source]
    divisor = content.get('div_flow', FLOW_DIVISOR)
    if isinstance(divisor, bool) or not isinstance(divisor, int | float):
        raise ValueError(f'{path}: div_flow must be a number, got {divisor!r}')
    if not 0 < divisor < math.inf:
        raise ValueError(f'{path}: div_flow must be > 0 and finite, got {divisor}')
    arrays = _rename(path, state, names)
    means = None if mean is None else (mean, mean)
    return FlowNetWeights(path, source, order, means, float(divisor), arrays)


def _infer_source(path: Path, state: Mapping[str, Any], arch: Any) -> str:
    """Infer the source from the names in the file."""
    if any(key.startswith('encoder.layers.') for key in state):
        return 'mmflow'
    if 'conv1.0.weight' in state:
        if isinstance(arch, str) and arch.startswith('flownets'):
            return 'flownet_pytorch'
        if arch == 'FlowNet2S' or (arch is None and 'deconv5.0.bias' in state):
            return 'flownet2_pytorch'
    raise ValueError(
        f'{path} does not show its source: pass one of {list(SOURCES)}; arch is '
        f'{arch!r}, its names are {_shown(state)}'
    )


def pytorch_names() -> dict[str, str]:
    """Map the names of ClementPinard's and NVIDIA's networks to ours."""
    modules = {f'{name}.0': name for name in (*CONVS, *DECONVS)}
    modules |= {name: name for name in PREDICTIONS}
    modules |= {_upsampled(name): name for name in UPSAMPLINGS}
    names = _with_arrays(modules)
    for conv in CONVS:
        names |= {f'{conv}.1.{part}': f'{conv}.norm.{part}' for part in NORM}
    return names


def mmflow_names() -> dict[str, str]:
    """Map the names of mmflow's FlowNetS to ours."""
    modules = {}
    for conv in CONVS:
        stage, _, second = conv.removeprefix('conv').partition('_')
        layer = f'encoder.layers.{int(stage) - 1}.layers.{int(bool(second))}'
        modules[f'{layer}.conv'] = conv
    for level in LEVELS:
        block = f'decoder.decoders.level{level}'
        modules[f'{block}.pred_out'] = f'predict_flow{level}'
        if level > LEVELS[-1]:
            modules[f'{block}.deconv_out.deconvs.0'] = f'deconv{level - 1}'
            to_finer = f'upsample_flow{level}to{level - 1}'
            modules[f'{block}.upsample_pred.deconvs.0'] = to_finer
    return _with_arrays(modules)


def _upsampled(name: str) -> str:
    return re.sub(r'upsample_flow(\d)to(\d)', r'upsampled_flow\1_to_\2', name)


def _with_arrays(modules: Mapping[str, str]) -> dict[str, str]:
    return {
        f'{theirs}.{part}': f'{ours}.{part}'
        for theirs, ours in modules.items()
        for part in ('weight', 'bias')
    }


def _rename(
    path: Path, state: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Tensor]:
    """Rename arrays to our names.

    Biases of the decoder may be missing (they are 0), and those of the encoder if
    batch norm follows.
    """
    state = {k: v for k, v in state.items() if not k.endswith(IGNORED)}
    unknown = [key for key in state if key not in names]
    if unknown:
        raise ValueError(
            f'{path} holds arrays that no FlowNetS has: {_shown(unknown)}; expected '
            f'names such as {_shown(names)}'
        )
    for key, value in state.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise ValueError(f'{path}: {key} must be an array, got {value!r:.80}')
        if not value.isfinite().all():
            raise ValueError(f'{path}: {key} must be finite, got nan or infinity')
    arrays = {names[key]: value.float() for key, value in state.items()}
    theirs = {ours: key for key, ours in names.items()}
    missing = [theirs[key] for key in _required(arrays) if key not in arrays]
    if missing:
        raise ValueError(f'{path} lacks the arrays {_shown(missing)}')
    return arrays


def _required(arrays: Mapping[str, Tensor]) -> list[str]:
    required = [f'{name}.weight' for name in MODULES]
    for conv in CONVS:
        if any(key.startswith(f'{conv}.norm.') for key in arrays):
            required += [f'{conv}.norm.{part}' for part in NORM]
        else:
            required.append(f'{conv}.bias')
    return required


def _read_caffe(path: Path) -> FlowNetWeights:
    means: dict[str, Mean] = {}
    state: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    for layer in read_caffemodel(path):
        if _is_augmentation(layer):
            if len(layer.blobs) == 3:  # count, mean image, mean of each channel
                means[layer.name] = _caffe_mean(path, layer)
            continue
        if len(layer.blobs) > 2 or f'{layer.name}.weight' in state:
            raise ValueError(
                f'{path}: layer {layer.name!r} must come once, with weight and bias, '
                f'got {len(layer.blobs)} arrays'
            )
        ours = _caffe_module(layer.name)
        for part, blob in zip(('weight', 'bias'), layer.blobs, strict=False):
            blob = blob.reshape(-1) if part == 'bias' else blob  # was (1, 1, 1, C)
            state[f'{layer.name}.{part}'] = torch.from_numpy(blob.copy())
            if ours is not None:
                names[f'{layer.name}.{part}'] = f'{ours}.{part}'
    mapped = {ours.partition('.')[0] for ours in names.values()}
    names |= _with_arrays({m: m for m in MODULES if m not in mapped})
    arrays = _rename(path, state, names)
    if len(means) not in (0, 2):
        raise ValueError(f'{path} must hold the mean of both frames, got {means}')
    first, second = (means[name] for name in sorted(means)) if means else (ZERO, ZERO)
    mean = first, second
    return FlowNetWeights(path, 'caffe', 'bgr', mean, FLOW_DIVISOR, arrays)


def _caffe_mean(path: Path, layer: CaffeLayer) -> Mean:
    """Return the mean (red, green, blue); the layer holds blue first."""
    mean = layer.blobs[2].ravel().tolist()[::-1]
    if len(mean) != 3 or not all(0 <= value <= 1 for value in mean):
        raise ValueError(
            f'{path}: layer {layer.name!r} must hold three means in 0..1, got {mean}'
        )
    return tuple(mean)


def _is_augmentation(layer: CaffeLayer) -> bool:
    """Return whether a layer only pre-processes a frame (`img0s_aug`)."""
    return layer.kind == 'DataAugmentation' or layer.name.endswith('s_aug')


def _caffe_module(name: str) -> str | None:
    """Return our name of a layer; Caffe numbers predictions from the coarsest."""
    numbered = re.fullmatch(r'Convolution([1-5])', name)
    if numbered:
        return PREDICTIONS[int(numbered[1]) - 1]
    name = re.sub(r'^predict_conv', 'predict_flow', name)
    return name if name in MODULES else None


def _shown(names: Any) -> str:
    names = list(names)
    rest = len(names) - SHOWN
    return ', '.join(names[:SHOWN]) + (f' and {rest} more' if rest > 0 else '')
